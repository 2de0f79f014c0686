/**
 * Files at rest that are no longer what was written: whatever byte is changed, either a typed error names the file and
 * the place, or everything read is exactly right.
 */
import { CorruptionError, FormatError, GnitzError, IoError } from '../../src/base/errors.js'
import type { Prng } from '../../src/base/prng.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { Storage } from '../../src/storage/storage.js'
import { parseFile } from '../../src/storage/types.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { checkStore } from './check.js'
import { optionsOf, type Tally, Violation } from './common.js'
import type { Model } from './model.js'
import type { Plan } from './plan.js'

const FLIPS = 5
const CUTS = 1
const LOSSES = 1

interface Change {
  readonly path: string
  /** Null: the file is gone. */
  readonly bytes: Uint8Array | null
  readonly what: string
  readonly isFlip: boolean
}

/** `closed`: the directory was closed, so even a log that is shorter shows. */
export async function checkDamage(
  plan: Plan,
  env: SimulatedEnv,
  model: Model,
  tally: Tally,
  prng: Prng,
  closed: boolean,
): Promise<void> {
  const files = env.files().filter(f => f.bytes.length > 0)
  const data = files.filter(f => parseFile(nameOf(f.path)) !== null)
  for (let n = 0; n < FLIPS + CUTS + (data.length > 0 ? LOSSES : 0); n++) {
    const change = n < FLIPS ? flip(files, prng) : n < FLIPS + CUTS ? cut(files, prng) : loss(data, prng)
    const world = new SimulatedEnv({ seed: plan.seed, mapping: plan.tuning.io !== 'read' })
    for (const { path, bytes } of files) {
      const found = path === change.path ? change.bytes : bytes
      if (found !== null) world.plant(path, found)
    }
    tally.flips++
    const { faults, notes } = await verifyDirectory(optionsOf(plan, world))
    const isNamed = [...faults, ...notes].some(finding => finding.file === change.path)
    const outcome = await readAll(plan, world, model, prng, change, closed)
    if (outcome === 'harmless') continue
    tally.detected++
    const isTail = change.path.endsWith('.log') && !change.isFlip
    if (closed && faults.length === 0) throw new Violation(`${change.what}: verify finds nothing wrong`)
    if (!isNamed && !isTail) throw new Violation(`${change.what}: verify does not name the file`)
  }
}

type File = SimulatedEnv['files'] extends () => (infer F)[] ? F : never

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)

function flip(files: readonly File[], prng: Prng): Change {
  const { path, bytes } = prng.pick(files)
  const copy = bytes.slice()
  const at = prng.below(copy.length)
  const before = copy[at]
  copy[at] ^= prng.chance(0.7) ? 1 << prng.below(8) : 1 + prng.below(255)
  return { path, bytes: copy, what: `${path}, byte ${at}: ${before} became ${copy[at]}`, isFlip: true }
}

function cut(files: readonly File[], prng: Prng): Change {
  const { path, bytes } = prng.pick(files)
  const length = prng.chance(0.2) ? 0 : prng.below(bytes.length)
  return {
    path,
    bytes: bytes.slice(0, length),
    what: `${path}: cut from ${bytes.length} to ${length} bytes`,
    isFlip: false,
  }
}

function loss(files: readonly File[], prng: Prng): Change {
  const { path } = prng.pick(files)
  return { path, bytes: null, what: `${path}: removed`, isFlip: false }
}

async function readAll(
  plan: Plan,
  world: SimulatedEnv,
  model: Model,
  prng: Prng,
  change: Change,
  closed: boolean,
): Promise<'detected' | 'harmless'> {
  const isLog = parseFile(nameOf(change.path))?.kind === 'wal'
  let storage: Storage | null = null
  try {
    storage = await Storage.open(optionsOf(plan, world))
    const { lsn, droppedAt } = storage.recovery
    const last = model.transactions
      .filter(t => t.changes.some(c => c.table.kind === 'durable' && c.delta.size > 0))
      .at(-1)
    const isShort = last !== undefined && lsn < last.lsn
    if (isShort && droppedAt === null && (!isLog || change.isFlip)) {
      throw new Violation(`${change.what}: transactions after ${lsn} are missing, and nobody says so`)
    }
    if (isShort && (!isLog || closed)) throw new Violation(`${change.what}: transactions after ${lsn} are missing`)
    for (const table of model.live) {
      const tree = storage.table(table.name)
      if (tree === undefined) throw new Violation(`${change.what}: table ${table.name} is missing`)
      checkStore(tree, table, model.stateAt(table, table.kind === 'durable' ? lsn : tree.table.flushedLsn), prng)
    }
    return isShort ? 'detected' : 'harmless'
  } catch (error) {
    if (!(error instanceof GnitzError)) throw new Violation(`${change.what}: ${String(error)}`, { cause: error })
    if (change.bytes === null && error instanceof IoError && error.path === change.path) return 'detected'
    if (!(error instanceof CorruptionError || error instanceof FormatError)) {
      throw new Violation(`${change.what}: ${error.message}`, { cause: error })
    }
    const named = error.file === change.path || (!change.isFlip && isLog)
    if (!named) throw new Violation(`${change.what}: the error names another file: ${error.message}`, { cause: error })
    if (change.isFlip && error.offset === null) throw new Violation(`${change.what}: no place in ${error.message}`)
    return 'detected'
  }
}
