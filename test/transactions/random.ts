/** Random transactions in random interleavings, recorded as histories for the checker (`elle.ts`). */
import { Prng } from '../../src/base/prng.js'
import {
  ConflictError,
  type Database,
  type InteractiveTransaction,
  open,
  string,
  type Transaction,
  table,
  u32,
  view,
} from '../../src/index.js'
import type { Op, Recorded } from './elle.js'

export const KEYS = 8

/** A table by a number (a packed key) and one by a text (a hashed key), each with a view of all its rows. */
const byNumber = table('byNumber', { id: u32().primaryKey(), v: string() })
const byText = table('byText', { id: string().primaryKey(), v: string() })
const ofNumbers = view('ofNumbers', q => q.from(byNumber).filter(r => r.v !== ''))
const ofTexts = view('ofTexts', q => q.from(byText).filter(r => r.v !== ''))

/** One of the two by small numbers. */
interface Subject {
  readonly table: typeof byNumber
  readonly view: typeof ofNumbers
  key(k: number): number
  /** The small number of a key. */
  number(id: unknown): number
}

const SUBJECTS: readonly Subject[] = [
  { table: byNumber, view: ofNumbers, key: k => k, number: id => id as number },
  {
    table: byText as unknown as typeof byNumber,
    view: ofTexts as unknown as typeof ofNumbers,
    key: k => `key ${k} of more than twelve bytes` as unknown as number,
    number: id => Number((id as string).split(' ')[1]),
  },
]

/** The keys of the second table come after those of the first. */
const globalKey = (subject: Subject, id: unknown): number => SUBJECTS.indexOf(subject) * KEYS + subject.number(id)

/** A transaction that is being recorded. */
export class Recorder {
  ops: Op[] = []
  began = 0
  private writes = 0

  constructor(readonly id: string) {}

  /** One random operation in a transaction. */
  step(tx: Transaction, random: Prng): void {
    const subject = random.pick(SUBJECTS)
    const k = random.below(KEYS)
    switch (random.below(9)) {
      case 0:
      case 1:
        return this.read(subject, k, tx.get(subject.table, subject.key(k))?.v ?? null)
      case 2:
      case 3:
        return this.range(tx, subject, random, false)
      case 4:
        return this.range(tx, subject, random, true)
      case 5: {
        const value = this.value()
        tx.upsert(subject.table, { id: subject.key(k), v: value })
        return this.write(subject, k, value)
      }
      case 6:
        return this.update(tx, subject, k)
      case 7:
        if (tx.deleteKey(subject.table, subject.key(k))) return this.write(subject, k, null)
        return this.read(subject, k, null)
      default: {
        const value = this.value()
        if (!tx.putIfAbsent(subject.table, { id: subject.key(k), v: value })) return
        this.read(subject, k, null)
        this.write(subject, k, value)
      }
    }
  }

  private update(tx: Transaction, subject: Subject, k: number): void {
    const value = this.value()
    let old: string | null = null
    const found = tx.update(subject.table, subject.key(k), row => {
      old = row.v
      return { v: value }
    })
    this.read(subject, k, old)
    if (found) this.write(subject, k, value)
  }

  private range(tx: Transaction, subject: Subject, random: Prng, ofView: boolean): void {
    const [from, to] = [random.below(KEYS), random.below(KEYS)].sort((a, b) => a - b)
    const options = {
      ...(random.chance(0.5) ? { from: subject.key(from) } : { after: subject.key(from) }),
      to: subject.key(to),
      reverse: false,
      ...(random.chance(0.5) ? { limit: 1 + random.below(3) } : {}),
    }
    const rows = ofView ? [...tx.range(subject.view, options)] : [...tx.range(subject.table, options)]
    const first = 'from' in options ? from : from + 1
    const ended = options.limit !== undefined && rows.length === options.limit
    const last = ended ? subject.number(rows[rows.length - 1].id) : to
    const found = new Map(rows.map(row => [subject.number(row.id), row.v]))
    for (let k = first; k <= last; k++) this.read(subject, k, found.get(k) ?? null, ofView)
  }

  private value(): string {
    return `${this.id}/${this.writes++}${this.writes % 3 === 0 ? ' with a text that does not fit its cell' : ''}`
  }

  read(subject: Subject, k: number, value: string | null, committed = false): void {
    this.ops.push({ kind: 'read', key: globalKey(subject, subject.key(k)), value, committed })
  }

  write(subject: Subject, k: number, value: string | null): void {
    this.ops.push({ kind: 'write', key: globalKey(subject, subject.key(k)), value })
  }

  record(lsn: bigint | null, aborted: boolean, ended: number): Recorded {
    const wrote = this.ops.some(op => op.kind === 'write')
    return {
      id: this.id,
      ops: this.ops,
      lsn: wrote && lsn !== null ? Number(lsn) : null,
      aborted,
      began: this.began,
      ended,
    }
  }
}

export class World {
  readonly random: Prng
  readonly db: Database = open()
  readonly history: Recorded[] = []
  conflicts = 0
  private clock = 0
  private transactions = 0

  constructor(seed: number) {
    this.random = new Prng(seed)
    this.db.createView(ofNumbers)
    this.db.createView(ofTexts)
  }

  tick(): number {
    return this.clock++
  }

  recorder(): Recorder {
    const recorder = new Recorder(`t${this.transactions++}`)
    recorder.began = this.tick()
    return recorder
  }

  /** A transaction of one piece: nothing comes in between. */
  atOnce(): void {
    const recorder = this.recorder()
    const { lsn } = this.db.transact(tx => {
      for (let n = this.random.below(3); n >= 0; n--) recorder.step(tx, this.random)
    })
    this.history.push(recorder.record(lsn, false, this.tick()))
  }

  end(tx: InteractiveTransaction<{ lsn: bigint }>, recorder: Recorder, commit: boolean): void {
    let lsn: bigint | null = null
    let aborted = !commit
    try {
      if (commit) lsn = tx.commit().lsn
      else tx.rollback()
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      this.conflicts++
      aborted = true
    }
    this.history.push(recorder.record(lsn, aborted, this.tick()))
  }

  /** Interactive transactions, at most `width` at a time, in random steps. */
  interleave(total: number, width: number): void {
    const { random } = this
    const open: { tx: InteractiveTransaction<{ lsn: bigint }>; recorder: Recorder; left: number }[] = []
    for (let begun = 0; begun < total || open.length > 0; ) {
      if (begun < total && open.length < width && random.chance(0.4)) {
        begun++
        if (random.chance(0.3)) this.atOnce()
        else open.push({ recorder: this.recorder(), tx: this.db.begin(), left: 1 + random.below(5) })
      } else if (open.length > 0) {
        const at = random.below(open.length)
        const { tx, recorder, left } = open[at]
        if (left > 0) {
          recorder.step(tx, random)
          open[at].left--
        } else {
          open.splice(at, 1)
          this.end(tx, recorder, random.chance(0.9))
        }
      }
    }
  }

  /** Ends a history with a transaction that reads everything. */
  readAll(): void {
    const recorder = this.recorder()
    this.db.transact(tx => {
      for (const subject of SUBJECTS) {
        for (let k = 0; k < KEYS; k++) {
          recorder.read(subject, k, tx.get(subject.table, subject.key(k))?.v ?? null)
          recorder.read(subject, k, tx.get(subject.view, subject.key(k))?.v ?? null)
        }
      }
    })
    this.history.push(recorder.record(null, false, this.tick()))
  }
}
