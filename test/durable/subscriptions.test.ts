/** Subscriptions with a name: what is heard after a restart, how often, and what is kept for it. */
import { beforeAll, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import { openLoaded } from '../../src/engine/open.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  type Database,
  i64,
  type NamedChanges,
  type OpenDirectoryOptions,
  open,
  sum,
  table,
  u32,
  view,
} from '../../src/index.js'
import { loadStorage } from '../../src/storage/open.js'

beforeAll(loadStorage)

const sales = table('sales', { id: u32().primaryKey(), shop: u32(), amount: i64() })
const totals = view('totals', q =>
  q
    .from(sales)
    .groupBy(s => ({ shop: s.shop }))
    .aggregate({ amount: sum(s => s.amount) }),
)

class Directory {
  env = new SimulatedEnv({ seed: 5 })

  open(options: OpenDirectoryOptions = {}): Database {
    return openLoaded('/db', { env: this.env, checkpointMs: Number.POSITIVE_INFINITY, ...options })
  }

  /** After the process was killed; what was written is there. */
  reopen(options: OpenDirectoryOptions = {}): Database {
    this.env = this.env.processCrash()
    return this.open(options)
  }
}

/** A consumer that keeps a copy of the view. */
class Copy {
  rows = new Map<number, bigint>()
  events: NamedChanges<{ shop: number; amount: bigint | null }>[] = []
  lsn = 0n

  take = (event: (typeof this.events)[number]): void => {
    this.events.push(event)
    if (event.reset) this.rows.clear()
    else expect(event.from).toBe(this.lsn)
    for (const { row, weight } of event.changes) {
      const before = this.rows.get(row.shop) ?? 0n
      const after = before + weight * (row.amount ?? 0n)
      if (after === 0n) this.rows.delete(row.shop)
      else this.rows.set(row.shop, after)
    }
    this.lsn = event.lsn
  }

  mustBe(db: Database): void {
    expect(this.rows).toEqual(
      new Map(
        db
          .view<{ shop: number; amount: bigint | null }>('totals')
          .rows()
          .map(r => [r.shop, r.amount]),
      ),
    )
  }
}

const settle = async () => {
  for (let n = 0; n < 20; n++) await null
}

it('tells first what was missed, as a difference', async () => {
  const directory = new Directory()
  let db = directory.open()
  db.createView(totals)
  await db.insert(sales, { id: 1, shop: 1, amount: 10 })
  const copy = new Copy()
  db.view(totals).subscribe(copy.take, { name: 'copy' })
  expect(copy.events).toMatchObject([{ from: 0n, reset: true, changes: [{ row: { shop: 1, amount: 10n } }] }])
  await db.insert(sales, { id: 2, shop: 2, amount: 5 })
  await settle()
  expect(copy.events[1]).toMatchObject({ reset: false, changes: [{ row: { shop: 2, amount: 5n }, weight: 1n }] })
  expect(db.subscriptions).toMatchObject([{ name: 'copy', relation: 'totals', attached: true }])
  expect(() => db.view(totals).subscribe(copy.take, { name: 'copy' })).toThrow(
    'somebody is subscribed as "copy" already',
  )
  expect(() => db.table(sales).subscribe(() => {}, { name: 'copy' })).toThrow('subscribed as "copy" already')
  await db.close()

  db = directory.reopen()
  expect(db.subscriptions).toMatchObject([{ name: 'copy', acknowledged: copy.lsn, attached: false }])
  await db.insert(sales, { id: 3, shop: 1, amount: 1 })
  db.checkpoint()
  await db.delete(sales, { id: 2, shop: 2, amount: 5 })
  db.checkpoint()
  await db.insert(sales, { id: 4, shop: 3, amount: 7 })
  db = directory.reopen()
  db.view(totals).subscribe(copy.take, { name: 'copy', after: copy.lsn })
  expect(copy.events).toHaveLength(3)
  expect(copy.events[2]).toMatchObject({ reset: false, lsn: db.lsn })
  copy.mustBe(db)
  expect(() => db.table(sales).subscribe(() => {}, { name: 'copy' })).toThrow('already')
  db.dropSubscription('copy')
  expect(db.subscriptions).toEqual([])
  expect(() => db.dropSubscription('copy')).toThrow('there is no subscription')
  expect(directory.reopen().subscriptions).toEqual([])
})

it('begins again with everything where the difference cannot be told', async () => {
  const directory = new Directory()
  let db = directory.open()
  db.createView(totals)
  const copy = new Copy()
  db.view(totals).subscribe(copy.take, { name: 'copy' })
  await db.insert(sales, { id: 1, shop: 1, amount: 10 })
  await settle()
  await db.close()
  db = directory.reopen()
  db.view(totals).subscribe(copy.take, { name: 'copy', after: db.lsn + 9n })
  expect(copy.events.at(-1)).toMatchObject({ reset: true })
  db.alterTable(sales, { add: { note: u32().nullable() } })
  db.table('sales').insert({ id: 2, shop: 1, amount: 1 } as never)
  await settle()
  copy.mustBe(db)
  await db.close()
  db = directory.reopen()
  const rows: unknown[] = []
  db.table('sales').subscribe(e => rows.push(e.reset, e.changes.length), { name: 'rows' })
  db.alterTable('sales', { rename: { note: 'remark' } as never })
  await settle()
  expect(rows).toEqual([true, 2, true, 2])
  db.dropView('totals')
  expect(db.subscriptions.map(s => s.name)).toEqual(['rows'])
})

it('lets subscribers acknowledge, write, and fail', async () => {
  const directory = new Directory()
  let db = directory.open()
  db.createView(totals)
  const heard: bigint[] = []
  const errors: unknown[] = []
  let last: NamedChanges<unknown> | null = null
  const subscribe = () =>
    db.view(totals).subscribe(
      event => {
        heard.push(event.lsn)
        last = event
        if (heard.length === 3) throw new Error('too much')
        if (heard.length === 2) db.insert(sales, { id: 100, shop: 9, amount: 1 })
      },
      { name: 'manual', manual: true, onError: error => errors.push(error) },
    )
  subscribe()
  await db.insert(sales, { id: 1, shop: 1, amount: 10 })
  await settle()
  expect(db.subscriptions).toMatchObject([{ acknowledged: 0n, attached: false }])
  expect(errors).toMatchObject([{ message: 'too much' }])
  await db.close()
  db = directory.reopen()
  heard.length = 0
  subscribe()
  ;(last as NamedChanges<unknown> | null)?.acknowledge()
  await db.close()
  db = directory.reopen()
  expect(db.subscriptions).toMatchObject([{ acknowledged: heard[0] }])
  expect(() =>
    open()
      .createView(totals)
      .subscribe(() => {}, { name: 'x' }),
  ).toThrow('needs a database in a directory')
})

it('tells nothing once the database is closed, and the rest afterwards', async () => {
  const directory = new Directory()
  let db = directory.open()
  db.createView(totals)
  const seen: bigint[] = []
  const waiting: (() => void)[] = []
  const slow = ({ lsn }: { readonly lsn: bigint }) => {
    seen.push(lsn)
    return new Promise<void>(resolve => waiting.push(resolve))
  }
  db.view(totals).subscribe(slow, { name: 'board' })
  for (const id of [1, 2]) await db.insert(sales, { id, shop: 1, amount: 5 })
  const { lsn } = db
  await db.close()
  waiting[0]()
  await settle()
  expect(seen).toHaveLength(1)
  db = directory.open()
  db.view(totals).subscribe(slow, { name: 'board' })
  expect(seen.slice(1)).toEqual([lsn])
  await db.close()
})

it('tells nothing of what the log refuses', async () => {
  const directory = new Directory()
  let db = directory.open()
  const copy = new Copy()
  db.createView(totals).subscribe(copy.take, { name: 'copy' })
  await db.insert(sales, { id: 1, shop: 1, amount: 10 })
  await settle()
  const told = copy.events.length
  directory.env.schedule.push({ at: directory.env.operations + 1, fault: 'no-space' })
  const refused = [2, 3].map(id => Promise.resolve(db.insert(sales, { id, shop: 1, amount: 5 })))
  expect((await Promise.allSettled(refused)).map(r => r.status)).toEqual(['rejected', 'rejected'])
  await settle()
  expect([db.table(sales).size, copy.events.length]).toEqual([1, told])
  await db.insert(sales, { id: 4, shop: 1, amount: 1 })
  await settle()
  expect(copy.events.length).toBe(told + 1)
  copy.mustBe(db)
  db = directory.reopen()
  db.view(totals).subscribe(copy.take, { name: 'copy', after: copy.lsn })
  copy.mustBe(db)
})

it('neither makes nor drops what the log refuses to write down', async () => {
  const directory = new Directory()
  const db = directory.open()
  await db.createTable(sales).insert({ id: 1, shop: 1, amount: 10 })
  const fillDisk = () => directory.env.schedule.push({ at: directory.env.operations + 1, fault: 'no-space' })
  const names = () =>
    [db.subscriptions, db.table('gnitz_subscriptions').rows()].map(all => all.map(s => (s as { name: string }).name))
  const subscribe = () => db.table(sales).subscribe(() => {}, { name: 'copy' })
  fillDisk()
  expect(subscribe).toThrow('cannot write')
  expect(names()).toEqual([[], []])
  subscribe()
  expect(names()).toEqual([['copy'], ['copy']])
  fillDisk()
  expect(() => db.dropSubscription('copy')).toThrow('cannot write')
  expect(names()).toEqual([['copy'], ['copy']])
  subscribe()
  db.dropSubscription('copy')
  expect(names()).toEqual([[], []])
  await db.close()
})

it('does not end the process for what a handler of errors, or an async listener of events, throws', async () => {
  const unhandled: unknown[] = []
  const hear = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', hear)
  try {
    const directory = new Directory()
    const db = directory.open({ onEvent: async () => Promise.reject(new Error('event')) })
    db.createView(totals)
    const error = new Error('first')
    const fails = { name: 'fails', onError: () => raise(new Error('second')) }
    const rejects = { name: 'rejects', onError: async () => raise(new Error('third')) }
    const subscriber = ({ reset }: { reset: boolean }) => (reset ? undefined : raise(error))
    for (const options of [fails, rejects]) db.view(totals).subscribe(subscriber, options)
    await db.insert(sales, { id: 1, shop: 1, amount: 10 })
    db.checkpoint()
    await settle()
    await new Promise(resolve => setTimeout(resolve, 5))
    expect(db.subscriptions.map(({ attached, failure }) => [attached, failure])).toEqual([
      [false, error],
      [false, error],
    ])
    await db.insert(sales, { id: 2, shop: 1, amount: 10 })
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', hear)
  }
})

function raise(error: Error): never {
  throw error
}

it('waits for the promise of an async subscriber, whose rejection is like a throw', async () => {
  const directory = new Directory()
  const db = directory.open()
  db.createView(totals)
  const [heard, errors]: [bigint[], unknown[]] = [[], []]
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = []
  const options = { name: 'slow', onError: (error: unknown) => errors.push(error) }
  db.view(totals).subscribe(({ lsn }) => {
    heard.push(lsn)
    return new Promise<void>((resolve, reject) => answers.push({ resolve, reject }))
  }, options)
  const begun = db.lsn
  for (const id of [1, 2]) await db.insert(sales, { id, shop: 1, amount: 10 })
  await settle()
  expect(heard).toHaveLength(1)
  expect(db.subscriptions).toMatchObject([{ acknowledged: 0n, attached: true }])
  db.checkpoint()
  expect(db.subscriptions).toMatchObject([{ acknowledged: 0n }])
  answers[0].resolve()
  await settle()
  expect(heard).toHaveLength(2)
  expect(db.subscriptions).toMatchObject([{ acknowledged: heard[0], attached: true }])
  expect(heard[0]).toBeLessThanOrEqual(begun)
  const error = new Error('gone')
  answers[1].reject(error)
  await settle()
  expect(heard).toHaveLength(2)
  expect(errors).toEqual([error])
  expect(db.subscriptions).toMatchObject([{ acknowledged: heard[0], attached: false, failure: error }])
})

it('refuses options that cannot be', () => {
  const db = new Directory().open()
  db.createView(totals)
  const wrong: [unknown, string][] = [
    ...[-1n, -1, 1, 'x', null].map((after): [unknown, string] => [
      { name: 'a', after },
      'subscribe: expected after to be the lsn of an event, a bigint, found ',
    ]),
    [{ name: 'a', aftr: 1n }, 'subscribe: unknown option "aftr"; the options are name, after, manual, onError'],
    [{ inital: true }, 'subscribe: unknown option "inital"; the options are initial, name'],
    [null, 'subscribe: expected options, found null'],
  ]
  for (const [options, message] of wrong) {
    for (const handle of [db.view(totals), db.table(sales)]) {
      expect(() => handle.subscribe(() => {}, options as never)).toThrow(message)
    }
  }
  expect(() => db.dropSubscription('nope')).toThrow(/there is no subscription "nope"$/)
})

it('survives crashes: a copy that knows where it is misses nothing and hears nothing twice', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const prng = new Prng(seed)
    const directory = new Directory()
    let db = directory.open({ walBytes: 2000 })
    db.createView(totals)
    const [exact, loose] = [new Copy(), new Copy()]
    const attach = () => {
      db.view(totals).subscribe(exact.take, { name: 'exact', ...(exact.lsn > 0n ? { after: exact.lsn } : {}) })
      // One that goes by what the database remembers has to be set back to that.
      const known = db.subscriptions.find(s => s.name === 'loose')
      if (known !== undefined && known.acknowledged !== loose.lsn) loose.lsn = -1n
      const rows = new Map(loose.rows)
      db.view(totals).subscribe(
        event => {
          if (loose.lsn === -1n) loose.lsn = event.from
          loose.take(event)
        },
        { name: 'loose' },
      )
      return rows
    }
    attach()
    let id = 1
    for (let n = 0; n < 150; n++) {
      const kind = prng.below(20)
      if (kind < 16) await db.insert(sales, { id: id++, shop: prng.below(5), amount: 1 + prng.below(9) })
      else if (kind === 16) db.checkpoint()
      else if (kind === 17) {
        const [row] = db.table(sales).rows()
        if (row !== undefined) await db.delete(sales, row)
      } else if (kind === 18) {
        await settle()
        exact.mustBe(db)
      } else {
        await settle()
        db = directory.reopen({ walBytes: 2000 })
        attach()
        exact.mustBe(db)
      }
    }
    await settle()
    exact.mustBe(db)
    expect(db.subscriptions.map(s => s.failure)).toEqual([null, null])
    expect(exact.events.filter(e => e.reset)).toHaveLength(1)
    expect(loose.events.filter(e => e.reset)).toHaveLength(1)
  }
})
