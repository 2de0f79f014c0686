/**
 * The simulated disk: files and directories, and which of their names would be there after a power cut.
 *
 * A name that was made, changed or removed is durable once its directory has been synced. Until then a power cut keeps
 * any subset of such changes. A rename happens whole or not at all.
 */
import { IoError } from '../base/errors.js'
import type { Prng } from '../base/prng.js'
import { SimulatedFile } from './simulated-file.js'

export class SimulatedDirectory {
  readonly kind = 'directory'
  readonly seen = new Map<string, SimulatedNode>()
  readonly durable = new Map<string, SimulatedNode>()
}

export type SimulatedNode = SimulatedFile | SimulatedDirectory

/** A name in a directory. */
interface Place {
  readonly directory: SimulatedDirectory
  readonly name: string
}

/** The node loses the name at `from` and gets the one at `to`. */
interface NameChange {
  readonly node: SimulatedNode
  readonly from: Place | null
  readonly to: Place | null
}

export class SimulatedDisk {
  private constructor(
    private readonly root: SimulatedDirectory,
    private readonly pending: NameChange[],
  ) {}

  static empty(): SimulatedDisk {
    return new SimulatedDisk(new SimulatedDirectory(), [])
  }

  /** What has this name, or null. */
  find(path: string): SimulatedNode | null {
    let node: SimulatedNode = this.root
    for (const name of segments(path)) {
      const next: SimulatedNode | undefined = node.kind === 'directory' ? node.seen.get(name) : undefined
      if (next === undefined) return null
      node = next
    }
    return node
  }

  directory(path: string): SimulatedDirectory {
    const node = this.find(path)
    if (node === null) throw this.missing(path)
    if (node.kind !== 'directory') throw new IoError(path, 'ENOTDIR', 'is not a directory')
    return node
  }

  file(path: string): SimulatedFile {
    const node = this.find(path)
    if (node === null) throw this.missing(path)
    if (node.kind !== 'file') throw new IoError(path, 'EISDIR', 'is a directory')
    return node
  }

  create(path: string): SimulatedFile {
    const to = this.place(path)
    if (to.directory.seen.has(to.name)) throw new IoError(path, 'EEXIST', 'exists already')
    const file = SimulatedFile.of()
    this.change({ node: file, from: null, to })
    return file
  }

  makeDirectory(path: string): void {
    let at = ''
    for (const name of segments(path)) {
      at += `/${name}`
      const node = this.find(at)
      if (node?.kind === 'file') throw new IoError(at, 'EEXIST', 'is a file')
      if (node === null) this.change({ node: new SimulatedDirectory(), from: null, to: this.place(at) })
    }
  }

  /** `lost`: readers see it, but no power cut will leave it. */
  rename(fromPath: string, toPath: string, lost: boolean): void {
    const [from, to] = [this.place(fromPath), this.place(toPath)]
    const node = this.file(fromPath)
    const replaced = to.directory.seen.get(to.name)
    if (replaced === node) return
    if (replaced?.kind === 'directory') throw new IoError(fromPath, 'EISDIR', `${toPath} is a directory`)
    this.change({ node, from, to }, lost)
  }

  remove(path: string): void {
    const node = this.find(path)
    if (node === null) return
    if (node.kind === 'directory') throw new IoError(path, 'EISDIR', 'is a directory')
    this.change({ node, from: this.place(path), to: null })
  }

  syncDirectory(path: string): void {
    const directory = this.directory(path)
    const later = this.pending.filter(change => {
      const touched = change.from?.directory === directory || change.to?.directory === directory
      if (touched) applyName(change, 'durable')
      return !touched
    })
    this.pending.splice(0, this.pending.length, ...later)
  }

  /** Puts a file there, durable at once; so is then everything else on the way to it. */
  plant(path: string, bytes: Uint8Array): void {
    const names = segments(path)
    for (let depth = 0; depth < names.length; depth++) {
      const parent = `/${names.slice(0, depth).join('/')}`
      this.makeDirectory(parent)
      this.syncDirectory(parent)
    }
    const { directory, name } = this.place(path)
    const file = SimulatedFile.of(bytes)
    directory.seen.set(name, file)
    directory.durable.set(name, file)
  }

  /** Paths and files that readers see, in order. */
  files(): { path: string; file: SimulatedFile }[] {
    const found: { path: string; file: SimulatedFile }[] = []
    const visit = (directory: SimulatedDirectory, path: string): void => {
      for (const [name, node] of directory.seen) {
        if (node.kind === 'directory') visit(node, `${path}/${name}`)
        else found.push({ path: `${path}/${name}`, file: node })
      }
    }
    visit(this.root, '')
    return found.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  /** The same disk in another world: nothing is open there, and what is not durable here is not durable there. */
  afterProcessCrash(): SimulatedDisk {
    const copies = new Map<SimulatedNode, SimulatedNode>()
    const root = copyNode(this.root, copies) as SimulatedDirectory
    const pending = this.pending.map(({ node, from, to }) => ({
      node: copyNode(node, copies),
      from: copyPlace(from, copies),
      to: copyPlace(to, copies),
    }))
    return new SimulatedDisk(root, pending)
  }

  afterPowerCut(prng: Prng): SimulatedDisk {
    const disk = this.afterProcessCrash()
    const odds = prng.pick([0, 0.5, 0.5, 1])
    for (const change of disk.pending) if (prng.chance(odds)) applyName(change, 'durable')
    disk.pending.length = 0
    restart(disk.root, prng, new Map())
    return disk
  }

  private missing(path: string): IoError {
    const names = segments(path)
    for (let depth = names.length - 1; depth > 0; depth--) {
      const parent = `/${names.slice(0, depth).join('/')}`
      if (this.find(parent)?.kind === 'file') return new IoError(path, 'ENOTDIR', `${parent} is not a directory`)
    }
    return new IoError(path, 'ENOENT', 'no such file or directory')
  }

  private place(path: string): Place {
    const names = segments(path)
    const name = names.pop()
    if (name === undefined) throw new IoError(path, 'EISDIR', 'is the root')
    return { directory: this.directory(`/${names.join('/')}`), name }
  }

  private change(change: NameChange, lost = false): void {
    applyName(change, 'seen')
    if (!lost) this.pending.push(change)
  }
}

function segments(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}

function applyName({ node, from, to }: NameChange, view: 'seen' | 'durable'): void {
  // Without the changes before it, the old name may be another file's.
  if (from !== null && from.directory[view].get(from.name) === node) from.directory[view].delete(from.name)
  if (to !== null) to.directory[view].set(to.name, node)
}

function copyNode(node: SimulatedNode, copies: Map<SimulatedNode, SimulatedNode>): SimulatedNode {
  const known = copies.get(node)
  if (known !== undefined) return known
  const copy = node.kind === 'file' ? node.copy() : new SimulatedDirectory()
  copies.set(node, copy)
  if (node.kind === 'file' || copy.kind === 'file') return copy
  for (const [name, child] of node.seen) copy.seen.set(name, copyNode(child, copies))
  for (const [name, child] of node.durable) copy.durable.set(name, copyNode(child, copies))
  return copy
}

function copyPlace(place: Place | null, copies: Map<SimulatedNode, SimulatedNode>): Place | null {
  if (place === null) return null
  return { directory: copyNode(place.directory, copies) as SimulatedDirectory, name: place.name }
}

/** Makes readers see what is durable. A file with two names stays one file. */
function restart(directory: SimulatedDirectory, prng: Prng, settled: Map<SimulatedFile, SimulatedFile>): void {
  directory.seen.clear()
  for (const [name, node] of directory.durable) {
    if (node.kind === 'directory') {
      restart(node, prng, settled)
      directory.seen.set(name, node)
    } else {
      const survivor = settled.get(node) ?? node.afterPowerCut(prng)
      settled.set(node, survivor)
      directory.seen.set(name, survivor)
      directory.durable.set(name, survivor)
    }
  }
}
