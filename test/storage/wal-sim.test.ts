/**
 * The log in a simulated world: writes torn and reordered by power cuts, disks that are full, syncs that fail, crashes
 * in the middle of anything, recovery included. After each the log must hold every acknowledged transaction, none that
 * was refused, and of the others the first ones. `WAL_SEEDS=5000` runs more histories.
 */
import { describe, expect, test } from 'vitest'
import { CorruptionError, IoError } from '../../src/base/errors.js'
import { SimulatedCrash, SimulatedEnv } from '../../src/env/simulated.js'
import type { Lsn } from '../../src/storage/types.js'
import type { Durability, Wal } from '../../src/storage/wal/wal.js'
import { lineOf, openWal, Prng, randomGroup, tablesOf } from './wal-support.js'

const DIR = '/w'
type Fate = 'open' | 'acknowledged' | 'refused' | 'unknown'

interface Entry {
  readonly lsn: Lsn
  readonly line: string
  fate: Fate
}

/** One history: several lives of a log, each ended by a crash or a failure. */
class History {
  private readonly prng: Prng
  private env: SimulatedEnv
  private entries: Entry[] = []
  /** Everything up to here is in the shards: pruned, and not replayed. */
  private checkpoint: Lsn = 0n
  private lastLsn: Lsn = 0n
  private readonly segmentBytes: number
  private readonly aheadBytes: number

  constructor(
    readonly seed: number,
    readonly durability: Durability,
  ) {
    this.prng = new Prng(seed)
    this.segmentBytes = this.prng.pick([1500, 30_000])
    // Into zeros of some blocks a caller that is alone writes through.
    this.aheadBytes = this.prng.pick([0, 100, 16_000])
    this.env = new SimulatedEnv({ seed })
    this.env.makeDirectory(DIR)
    this.env.syncDirectory('/')
  }

  async run(lives: number): Promise<void> {
    for (let life = 0; life < lives; life++) {
      this.env.rates = {
        ...this.env.rates,
        ...{ writeError: this.rate(), shortWrite: this.rate(), syncError: this.rate(), nameError: this.rate() },
      }
      const calm = this.prng.chance(0.3)
      if (!calm) this.env.schedule = [{ at: this.env.operations + 1 + this.prng.below(60), fault: 'crash' }]
      this.env.capacityBytes = this.prng.chance(0.3) ? this.env.usedBytes + this.prng.below(3000) : Infinity
      const wal = this.open()
      if (wal !== null) await this.live(wal)
      this.end()
    }
    this.env.rates = { ...this.env.rates, writeError: 0, shortWrite: 0, syncError: 0, nameError: 0 }
    this.env.schedule = []
    this.env.capacityBytes = Infinity
    if (this.open() === null) throw new Error('a log on a sound disk can be opened')
  }

  private rate(): number {
    return this.prng.chance(0.3) ? 0.05 : 0
  }

  /** Null if a fault came in between. */
  private open(): Wal | null {
    try {
      const tableOf = tablesOf(this.prng.chance(0.2) ? 'generic' : 'compiled')
      const { env, durability, checkpoint: afterLsn } = this
      const { segmentBytes, aheadBytes } = this
      const options = { env, durability, tableOf, afterLsn, segmentBytes, aheadBytes, intervalMs: 10 }
      const { wal, groups } = openWal(DIR, options)
      this.check(groups.map(lineOf))
      return wal
    } catch (error) {
      if (error instanceof CorruptionError) throw error
      if (!(error instanceof IoError) && !(error instanceof SimulatedCrash)) throw error
      return null
    }
  }

  private check(found: readonly string[]): void {
    const expected = this.entries.filter(e => e.lsn > this.checkpoint && e.fate !== 'refused')
    const count = found.length
    expect(found).toEqual(expected.slice(0, count).map(e => e.line))
    expect(expected.slice(count).filter(e => e.fate === 'acknowledged')).toEqual([])
    // What was found is durable from now on, the rest is gone for good.
    this.entries = expected.slice(0, count).map(e => ({ ...e, fate: 'acknowledged' }))
  }

  private async live(wal: Wal): Promise<void> {
    const told: Promise<void>[] = []
    try {
      for (let turn = this.prng.below(25); turn > 0 && wal.failure === null; turn--) {
        for (let n = 1 + this.prng.below(3); n > 0; n--) told.push(this.append(wal))
        if (this.prng.chance(0.1)) wal.rotate()
        if (this.prng.chance(0.1)) wal.sync()
        if (this.prng.chance(0.1)) this.env.advance(20)
        if (this.prng.chance(0.1)) told.push(wal.flush().catch(ignore))
        if (this.prng.chance(0.1)) this.prune(wal)
        // A caller that is alone for a while.
        if (this.prng.chance(0.05)) for (let n = 0; n < 9 && wal.failure === null; n++) await this.append(wal)
        for (let hops = this.prng.below(12); hops > 0; hops--) await null
      }
      if (this.prng.chance(0.3)) await wal.close()
    } catch (error) {
      if (!(error instanceof IoError) && !(error instanceof SimulatedCrash)) throw error
    }
    if (this.prng.chance(0.5)) await Promise.all(told)
  }

  /** Appends a transaction and notes what becomes of it. */
  private async append(wal: Wal): Promise<void> {
    // A number that was refused may be used again, or not.
    const lsn = (this.prng.chance(0.5) || this.lastLsn < wal.lastLsn ? wal.lastLsn : this.lastLsn) + 1n
    const { parts, model } = randomGroup(lsn, this.prng, 6)
    try {
      wal.append(lsn, parts)
    } catch (error) {
      if (error instanceof SimulatedCrash) return
      throw error
    }
    this.lastLsn = lsn
    const entry: Entry = { lsn, line: lineOf(model), fate: 'open' }
    this.entries.push(entry)
    try {
      await wal.committed(lsn)
      if (this.durability === 'commit') entry.fate = 'acknowledged'
      else entry.fate = 'unknown'
    } catch (error) {
      entry.fate = error === wal.failure ? 'unknown' : 'refused'
    }
  }

  private prune(wal: Wal): void {
    wal.sync()
    this.checkpoint = wal.lastLsn
    if (this.prng.chance(0.5)) wal.rotate()
    wal.prune(this.checkpoint)
  }

  private end(): void {
    const { env, prng } = this
    this.env = prng.chance(0.3) ? env.processCrash() : env.crash(prng)
  }
}

function ignore(): void {}

describe.each<Durability>(['commit', 'interval', 'none'])('%s', durability => {
  test('every acknowledged transaction, no refused one, and a beginning of the others', async () => {
    for (let seed = 1; seed <= Number(process.env.WAL_SEEDS ?? 20); seed++) {
      await new History(seed, durability).run(6).catch((error: unknown) => {
        throw new Error(`seed ${seed}, ${durability}`, { cause: error })
      })
    }
  })
})
