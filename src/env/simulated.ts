/**
 * An `Env` in memory that behaves as badly as an operating system may, and always in the same way for the same seed.
 *
 * Files have bytes that readers see and bytes that a power cut would leave (`simulated-file.ts`, `simulated-disk.ts`).
 * Operations are numbered; faults strike by chance or at given numbers (`faults.ts`). After a crash every call throws
 * `SimulatedCrash`, so that the code under test cannot go on, and `crash` or `processCrash` give the world after it:
 *
 *     const env = new SimulatedEnv({ seed, crashAt: 17 })
 *     try { work(env) } catch (error) { if (!(error instanceof SimulatedCrash)) throw error }
 *     recover(env.crash(prng))
 *
 * Time stands still until `advance`.
 */
import { IoError, LockedError, NoSpaceError } from '../base/errors.js'
import { Prng } from '../base/prng.js'
import type { Env, EnvFile, FileInfo, Lock, MappedFile, OpenMode } from './env.js'
import {
  chooseFault,
  type Fault,
  type FaultRates,
  NO_FAULTS,
  type OperationClass,
  type ScheduledFault,
} from './faults.js'
import { SimulatedClock } from './simulated-clock.js'
import { SimulatedDisk } from './simulated-disk.js'
import type { SimulatedFile } from './simulated-file.js'
import { type Flight, type Host, SimulatedHandle } from './simulated-handle.js'
import { Trace } from './simulated-trace.js'

/** Not a GnitzError: nothing that handles those may handle this. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash'
}

export interface SimulatedOptions {
  readonly seed?: number
  /** Probabilities of faults; 0 where nothing is said. */
  readonly rates?: Partial<FaultRates>
  readonly schedule?: readonly ScheduledFault[]
  /** Short for a scheduled crash. */
  readonly crashAt?: number
  /** Bytes that all files together may have. */
  readonly capacityBytes?: number
  /** Does `map` give the bytes? Otherwise null, so that whatever is read goes through `read`. */
  readonly mapping?: boolean
  /** What `now` says first. */
  readonly startMs?: number
}

/** The process that holds the simulated locks. */
const SIMULATED_PID = 4711

/** 2023-11-14, some time after every file format. */
const START_MS = 1_700_000_000_000

export class SimulatedEnv implements Env {
  readonly seed: number
  /** May be changed at any time. */
  rates: FaultRates
  /** Faults still to come; may be changed at any time. */
  schedule: ScheduledFault[]
  /** May be changed at any time: raise it to make room. */
  capacityBytes: number
  /** Operations so far. */
  operations = 0
  /** Syncs dropped and renames lost so far: if there are any, acknowledged data may legitimately be lost. */
  lies = 0

  private disk = SimulatedDisk.empty()
  private readonly prng: Prng
  private readonly mapping: boolean
  private readonly clock: SimulatedClock
  private readonly log = new Trace()
  private readonly locks = new Set<string>()
  /** Open files and how often: they take space even when their name is gone. */
  private readonly handles = new Map<SimulatedFile, number>()
  private flights: Flight[] = []
  private stopped = false

  constructor(options: SimulatedOptions = {}) {
    this.seed = options.seed ?? 0
    this.prng = new Prng(this.seed)
    this.rates = { ...NO_FAULTS, ...options.rates }
    this.schedule = [...(options.schedule ?? [])]
    if (options.crashAt !== undefined) this.schedule.push({ at: options.crashAt, fault: 'crash' })
    this.capacityBytes = options.capacityBytes ?? Infinity
    this.mapping = options.mapping ?? false
    this.clock = new SimulatedClock(options.startMs ?? START_MS)
  }

  // ── the end ──

  /** Has a crash come? */
  get crashed(): boolean {
    return this.stopped
  }

  /**
   * The world after a power cut now, or at the crash that has come: of what was not durable, some is there. This world
   * stops. May be called again, for another outcome of the same cut.
   *
   * The new world has this one's rates, capacity, mapping and time unless `options` say otherwise; no schedule.
   */
  crash(prng: Prng, options: SimulatedOptions = {}): SimulatedEnv {
    this.stopped = true
    return this.next(this.disk.afterPowerCut(prng), { seed: prng.next(), ...options })
  }

  /** The world after the process was killed: everything written is there, although not all of it is durable. */
  processCrash(options: SimulatedOptions = {}): SimulatedEnv {
    this.stopped = true
    const next = this.next(this.disk.afterProcessCrash(), { seed: this.seed + 1, ...options })
    next.lies = this.lies
    return next
  }

  private next(disk: SimulatedDisk, options: SimulatedOptions): SimulatedEnv {
    const { rates, capacityBytes, mapping } = this
    const next = new SimulatedEnv({ rates, capacityBytes, mapping, startMs: this.clock.nowMs, ...options })
    next.disk = disk
    return next
  }

  // ── for tests ──

  /** Lets time pass; whatever is due is called, in order. */
  advance(milliseconds: number): void {
    this.check()
    this.clock.advance(milliseconds)
  }

  /** The last operations, and what is needed to see them again. */
  trace(last?: number): string {
    const state = this.stopped ? 'crashed' : 'running'
    const rates = Object.entries(this.rates).flatMap(([name, rate]) => (rate > 0 ? [`${name} ${rate}`] : []))
    const capacity = this.capacityBytes === Infinity ? [] : [`capacity ${this.capacityBytes} bytes`]
    const about = [`seed ${this.seed}`, `${this.operations} operations`, state, ...capacity, ...rates]
    return `simulated Env: ${about.join(', ')}\n${this.log.text(last)}`
  }

  /** All files, with what readers see. Not an operation; works after a crash too. */
  files(): { path: string; bytes: Uint8Array }[] {
    return this.disk.files().map(({ path, file }) => ({ path, bytes: file.bytes() }))
  }

  /** What readers see in a file. Not an operation; works after a crash too. Throws IoError if there is none. */
  contents(path: string): Uint8Array {
    return this.disk.file(path).bytes()
  }

  /** Puts a file there, durable at once, instead of any that has its name. Not an operation. */
  plant(path: string, bytes: Uint8Array): void {
    this.disk.plant(path, bytes)
  }

  /** Bytes in all files, nameless ones that are still open included. */
  get usedBytes(): number {
    const files = new Set(this.disk.files().map(({ file }) => file))
    for (const file of this.handles.keys()) files.add(file)
    let sum = 0
    for (const file of files) sum += file.sizeBytes
    return sum
  }

  // ── Env ──

  resolve(path: string): string {
    return path
  }

  open(path: string, mode: OpenMode): EnvFile {
    return this.step(mode === 'create' ? 'create' : 'read', `open to ${mode}`, path, '', () => {
      const file = mode === 'create' ? this.disk.create(path) : this.disk.file(path)
      this.handles.set(file, (this.handles.get(file) ?? 0) + 1)
      return new SimulatedHandle(this.host, path, mode, file)
    })
  }

  map(path: string): MappedFile | null {
    this.check()
    if (!this.mapping) return null
    return this.step('read', 'map', path, '', () => ({ bytes: this.disk.file(path).bytes() }))
  }

  stat(path: string): FileInfo | null {
    this.check()
    const node = this.disk.find(path)
    if (node === null) return null
    return node.kind === 'file'
      ? { sizeBytes: node.sizeBytes, isDirectory: false }
      : { sizeBytes: 0, isDirectory: true }
  }

  list(path: string): string[] {
    return this.step('read', 'list', path, '', () => [...this.disk.directory(path).seen.keys()].sort())
  }

  rename(from: string, to: string): void {
    this.step('rename', 'rename', from, `to ${to}`, fault => this.disk.rename(from, to, fault === 'lose'))
  }

  remove(path: string): void {
    this.step('remove', 'remove', path, '', () => this.disk.remove(path))
  }

  makeDirectory(path: string): void {
    this.step('create', 'make directory', path, '', () => this.disk.makeDirectory(path))
  }

  syncDirectory(path: string): void {
    this.step('sync', 'sync directory', path, '', fault => {
      if (fault === 'drop') this.disk.directory(path)
      else this.disk.syncDirectory(path)
    })
  }

  lock(path: string): Lock {
    return this.step('lock', 'lock', path, '', () => {
      if (this.locks.has(path)) throw new LockedError(path, SIMULATED_PID)
      // A lock file that outlived its process is taken over.
      if (this.disk.find(path) === null) this.disk.create(path)
      this.locks.add(path)
      let held = true
      const release = (): void => {
        if (!held) return
        this.step('lock', 'unlock', path, '', () => {
          held = false
          this.locks.delete(path)
          this.disk.remove(path)
        })
      }
      return { release }
    })
  }

  now(): number {
    this.check()
    return this.clock.nowMs
  }

  after(milliseconds: number, callback: () => void): () => void {
    this.check()
    return this.clock.after(milliseconds, () => {
      if (!this.stopped) callback()
    })
  }

  /** In the same turn, so that what happens is the same every time. */
  soon(callback: () => void): void {
    this.check()
    queueMicrotask(() => {
      if (!this.stopped) callback()
    })
  }

  // ── operations ──

  private check(): void {
    if (this.stopped) throw new SimulatedCrash(`the simulated machine stopped after operation ${this.operations}`)
  }

  /**
   * One numbered operation. `run` gets the fault that changes what it does without failing: `drop` or `lose`. The
   * failing ones run `partial` instead, for what happens all the same; a crash runs either, both or none.
   */
  private step<T>(
    kind: OperationClass,
    verb: string,
    path: string,
    detail: string,
    run: (fault: Fault | null) => T,
    partial: (fault: Fault) => void = () => {},
  ): T {
    this.check()
    const number = ++this.operations
    const entry = this.log.add(number, verb, path, detail)
    this.land()
    const fault = chooseFault(kind, number, this.schedule, this.rates, this.prng)
    if (fault !== null) entry.outcome = fault
    if (fault === 'drop' || fault === 'lose') this.lies++
    try {
      if (fault === 'crash') return this.crashIn(run, partial)
      if (fault === 'error' || fault === 'short' || fault === 'no-space') {
        partial(fault)
        const problem = `cannot ${verb}${detail && ` ${detail}`}: injected into operation ${number}`
        throw fault === 'no-space' ? new NoSpaceError(path, problem) : new IoError(path, 'EIO', problem)
      }
      return run(fault)
    } catch (error) {
      if (error instanceof IoError && fault === null) entry.outcome = error.errno
      throw error
    }
  }

  private crashIn(run: (fault: Fault | null) => unknown, partial: (fault: Fault) => void): never {
    const how = this.prng.below(3)
    try {
      if (how === 1) run(null)
      if (how === 2) partial('crash')
    } catch (error) {
      if (!(error instanceof IoError)) throw error
    }
    this.stopped = true
    throw new SimulatedCrash(`the simulated machine stopped in operation ${this.operations}`)
  }

  /** Syncs under way come to their effect one by one while other operations happen. */
  private land(): void {
    for (const flight of this.flights) if (flight.delay-- === 0) flight.land()
    this.flights = this.flights.filter(flight => flight.delay >= 0)
  }

  /** What open files may do with their world. */
  private readonly host: Host = {
    prng: () => this.prng,
    check: () => this.check(),
    step: (kind, verb, path, detail, run, partial) => this.step(kind, verb, path, detail, run, partial),
    room: () => (this.capacityBytes === Infinity ? Infinity : this.capacityBytes - this.usedBytes),
    launch: flight => this.flights.push(flight),
    closed: file => {
      const count = this.handles.get(file) ?? 0
      if (count > 1) this.handles.set(file, count - 1)
      else this.handles.delete(file)
    },
  }
}
