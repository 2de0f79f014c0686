/** Databases in directories: what is there after a restart, what is refused, and what a full disk leaves. */
import { beforeAll, describe, expect, it } from 'vitest'
import { CorruptionError, FormatError, UsageError } from '../../src/base/errors.js'
import { openLoaded } from '../../src/engine/open.js'
import { CountingEnv } from '../../src/env/counting.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  bytes,
  count,
  type Database,
  filtered,
  fold,
  i64,
  linear,
  type OpenDirectoryOptions,
  open,
  type StorageEvent,
  semigroup,
  string,
  sum,
  table,
  u64,
  udf,
  view,
} from '../../src/index.js'
import { staticKeys } from '../../src/storage/index.js'
import { loadStorage } from '../../src/storage/open.js'
import { shardFile } from '../../src/storage/types.js'
import { expectError } from '../engine/support.js'
import { newDatabaseTally, simulateDatabase } from '../sim/database.js'

beforeAll(loadStorage)

const orders = table('orders', { id: u64().primaryKey(), customer: u64(), amount: i64(), note: string().nullable() })
const large = view('large', q => q.from(orders).filter(o => o.amount > 100n))
const totals = view('totals', q =>
  q
    .from(orders)
    .groupBy(o => ({ customer: o.customer }))
    .aggregate({ orders: count(), total: sum(o => o.amount) }),
)
const order = (id: number, amount: number) => ({ id, customer: id % 3, amount, note: null })

/** A directory that lives on when its database does not. */
class Directory {
  env = new SimulatedEnv({ seed: 7 })

  open(options: OpenDirectoryOptions = {}): Database {
    return openLoaded('/db', { env: this.env, checkpointMs: Number.POSITIVE_INFINITY, ...options })
  }

  /** After the process was killed. */
  reopen(options: OpenDirectoryOptions = {}): Database {
    this.env = this.env.processCrash()
    return this.open(options)
  }
}

/** The files of a table's shards. */
const filesOf = (db: Database, name: string): string[] =>
  (db.durability?.storage.table(name)?.entries ?? []).map(({ fileId }) => `/db/${shardFile(fileId)}`)

const copies = ['first', 'second'].map(name => table(name, { id: u64().primaryKey(), amount: i64() }))

/** Two tables with shards of one length, and a view over each, in a database that was closed. */
async function twoTables(): Promise<{ env: SimulatedEnv; files: readonly string[] }> {
  const env = new SimulatedEnv({ seed: 7 })
  const db = openLoaded('/db', { env })
  for (const definition of copies) {
    const { name } = definition.schema
    db.createView(view(`sum of ${name}`, q => q.from(definition).aggregate({ sum: sum(r => r.amount) })))
    db.insert(definition, [
      { id: 1, amount: 5 },
      { id: 2, amount: 6 },
    ])
  }
  db.checkpoint()
  const files = copies.flatMap(({ schema }) => filesOf(db, schema.name))
  await db.close()
  return { env, files }
}

function overwrite(env: SimulatedEnv, path: string, change: (bytes: Uint8Array) => Uint8Array): void {
  const file = env.open(path, 'write')
  const bytes = new Uint8Array(file.size())
  file.read(bytes, 0)
  const changed = change(bytes)
  file.truncate(changed.length)
  file.write(changed, 0)
  file.close()
}

describe('opening', () => {
  it('touches no shard but those of the catalog, however many there are', async () => {
    const directory = new Directory()
    const db = directory.open()
    db.createView(totals)
    for (let id = 1; id <= 5; id++) {
      await db.insert(orders, order(id, id))
      db.checkpoint()
    }
    const all = filesOf(db, 'orders')
    expect(all.length).toBeGreaterThan(1)
    const env = new CountingEnv(directory.env.processCrash())
    const again = openLoaded('/db', { env, checkpointMs: Number.POSITIVE_INFINITY })
    const catalog = again.durability?.storage.tables.filter(t => t.name.startsWith('gnitz_')).map(t => t.name) ?? []
    const known = catalog.flatMap(name => filesOf(again, name))
    const read = () => new Set(env.reads.map(r => r.path).filter(path => path.includes('shard-')))
    expect([...read()].filter(path => !known.includes(path))).toEqual([])
    expect(again.view(totals).rows()).toHaveLength(3)
    expect(again.table(orders).size).toBe(5)
    expect(all.filter(path => !read().has(path))).toEqual([])
  })

  it('refuses a shard that is missing or of another length', async () => {
    for (const [spoil, message] of [
      [(env: SimulatedEnv, path: string) => env.remove(path), 'the manifest names it, found no such file'],
      [
        (env: SimulatedEnv, path: string) => overwrite(env, path, bytes => bytes.subarray(0, 100)),
        /expected \d+ bytes, found 100 bytes/,
      ],
    ] as const) {
      const { env, files } = await twoTables()
      spoil(env, files[1])
      const opened = () => openLoaded('/db', { env })
      expect(opened).toThrow(CorruptionError)
      expect(opened).toThrow(files[1])
      expect(opened).toThrow(message)
    }
  })

  it('leaves what a shard holds to the first use of it: that throws, and nothing else does', async () => {
    const flip = (env: SimulatedEnv, [path]: readonly string[]) =>
      overwrite(env, path, bytes => {
        bytes[70] ^= 1
        return bytes
      })
    const swap = (env: SimulatedEnv, [a, b]: readonly string[]) => {
      env.rename(a, '/db/aside')
      env.rename(b, a)
      env.rename('/db/aside', b)
    }
    for (const [spoil, kind, message] of [
      [flip, CorruptionError, 'checksum of header and directory'],
      [swap, FormatError, 'expected a shard of table'],
    ] as const) {
      const { env, files } = await twoTables()
      spoil(env, files)
      const db = openLoaded('/db', { env })
      expect(db.view('sum of first').rows()).toEqual([{ sum: 11n }])
      for (let n = 0; n < 2; n++) {
        expect(() => db.table('first').rows()).toThrow(kind)
        expect(() => db.table('first').rows()).toThrow(`${files[0]}`)
        expect(() => db.table('first').get(1 as never)).toThrow(message)
      }
      const { lsn } = db
      if (spoil === flip) expect(db.table('second').size).toBe(2)
      await db.insert(copies[1], { id: 3, amount: 7 })
      expect(db.view('sum of second').rows()).toEqual([{ sum: 18n }])
      expect(db.lsn).toBe(lsn + 1n)
      await db.close()
    }
  })
})

describe('a directory', () => {
  it('holds tables, views and indexes as they were', async () => {
    const directory = new Directory()
    const db = directory.open()
    db.createView(large)
    db.createView(totals)
    db.createIndex(orders, 'by amount', { on: ['amount'] })
    for (let id = 1; id <= 10; id++) await db.insert(orders, order(id, id * 30))
    db.checkpoint()
    const { lsn } = await db.insert(orders, order(11, 500))
    const before = [db.view(large).rows(), db.view(totals).rows()]
    const again = directory.reopen()
    expect(again.lsn).toBe(lsn)
    expect(again.tables.map(t => t.name)).toEqual(['orders'])
    expect([again.view(large).rows(), again.createView(totals).rows()]).toEqual(before)
    expect([...again.table(orders).index('by amount').range({ from: 290n })].map(o => o.id)).toEqual([10n, 11n])
    expect(again.durability?.parts).toMatchObject({ restored: 3, begun: 0 })
    again.delete(orders, order(11, 500))
    expect(again.view(totals).get(2n)).toEqual({ customer: 2n, orders: 3n, total: 450n })
  })

  it('makes an index of long values of which some are in memory and some in a value log', () => {
    const texts = table('texts', { id: u64().primaryKey(), text: string(), data: bytes() })
    const db = new Directory().open()
    db.createTable(texts)
    const row = (id: number) => ({ id, text: 'a'.repeat(5000), data: new Uint8Array(5000).fill(7) })
    db.insert(texts, [row(1), row(2)])
    db.checkpoint()
    db.delete(texts, row(1))
    for (const column of ['text', 'data'] as const) {
      db.createIndex(texts, column, { on: [column] })
      const index = db.table(texts).index(column)
      expect(index.entries().map(({ row, weight }) => [row.id, weight])).toEqual([[2n, 1n]])
      expect(index.find([row(2)[column]]).map(r => r.id)).toEqual([2n])
    }
  })

  it('hands out bytes that are the reader’s own, from encrypted files too', async () => {
    const encryption = staticKeys({ id: 1, key: new Uint8Array(32).fill(1) })
    const db = await open('/db', { env: new SimulatedEnv({ seed: 7 }), encryption })
    const blobs = table('blobs', { id: u64().primaryKey({ unique: true }), data: bytes() })
    const store = db.kv('store', { key: 'string', value: 'bytes' })
    const values = [100, 5000].map(length => new Uint8Array(length).fill(7))
    db.createTable(blobs)
    values.forEach((data, n) => {
      db.insert(blobs, { id: n, data })
      store.put(String(n), data)
    })
    db.checkpoint()
    const read = (n: number) => [db.table(blobs).get(n)?.data, store.get(String(n))]
    values.forEach((data, n) => {
      for (const found of read(n)) found?.fill(9)
      expect(read(n)).toStrictEqual([data, data])
    })
    await db.close()
  })

  it('lists its definitions in tables of its own', () => {
    const db = new Directory().open()
    db.createView(large)
    const rows = (name: string) => db.table(name).rows() as { name: string }[]
    expect(rows('gnitz_tables').map(r => r.name)).toEqual(['orders'])
    expect(rows('gnitz_views').map(r => r.name)).toEqual(['large'])
    expect(rows('gnitz_columns')).toHaveLength(8)
    expect(() => db.insert('gnitz_views' as never, {} as never)).toThrow('expected a table of this database')
    const own = view('gnitz_own', q => q.from(orders))
    const taken = [
      () => db.createTable(table('gnitz_own', { a: u64() })),
      () => db.alterTable(orders, { name: 'gnitz_own' }),
      () => db.createView(own),
      () => db.createView(view('over', q => q.from(own))),
      () => db.renameView(large, 'gnitz_own'),
    ]
    for (const take of taken) expect(take).toThrow('"gnitz_own": names that begin with gnitz_ belong to the catalog')
    expect([...db.tables, ...db.views].map(r => r.name)).toEqual(['orders', 'large'])
    db.dropView(large)
    expect(rows('gnitz_views')).toEqual([])
  })

  it('makes a view anew whose circuit has changed, and those over it', async () => {
    const directory = new Directory()
    const db = directory.open()
    db.createView(view('sums', q => q.from(large).aggregate({ sum: sum(o => o.amount) })))
    db.createView(totals)
    await db.insert(orders, [order(1, 50), order(2, 150), order(3, 250)])
    db.checkpoint()
    const again = directory.reopen()
    const changed = view('large', q => q.from(orders).filter(o => o.amount > 200n))
    expect(again.createView(changed).rows()).toHaveLength(1)
    expect(again.view('sums').rows()).toEqual([{ sum: 250n }])
    expect(again.createView(totals).rows()).toHaveLength(3)
    const third = directory.reopen()
    expect(third.view('sums').rows()).toEqual([{ sum: 250n }])
    const narrow = view('large', q => q.from(orders).map(o => ({ id: o.id })))
    expect(() => third.createView(narrow)).toThrow('has other columns now, and view "sums" reads it')
    expect(third.view('large').rows()).toHaveLength(1)
  })

  it('says how a table differs from the one that is stored', () => {
    const directory = new Directory()
    directory.open().createTable(orders)
    const again = directory.reopen()
    const other = table('orders', { id: u64().primaryKey(), amount: string(), note: string().nullable(), more: i64() })
    expect(() => again.createTable(other)).toThrow(
      'column "amount" is string, stored as i64; column "note" is number 3, stored as 4; ' +
        'column "more" (i64) is new: rows that are there need .nullable() or .default(…); column "customer" is stored, and not defined',
    )
    expect(again.createTable(orders).rows()).toEqual([])
    expect(() => again.createTable(orders)).toThrow('the name "orders" is taken')
  })

  it('asks for the functions that its views call', () => {
    const directory = new Directory()
    const half = udf('half', ['i64'], 'i64', n => n / 2n)
    const halves = view('halves', q =>
      q.from(orders).map((o, { half }) => ({ id: o.id, half: half(o.amount) }), { half }),
    )
    const db = directory.open()
    db.createView(halves)
    db.insert(orders, order(1, 50))
    db.durability?.sync()
    directory.env = directory.env.processCrash()
    expect(() => directory.open()).toThrow('view "halves" calls the function "half", which is not known')
    expect(
      directory
        .reopen({ udfs: [half] })
        .view('halves')
        .rows(),
    ).toEqual([{ id: 1n, half: 25n }])
  })

  it('finds aggregates of its user by their names', async () => {
    const directory = new Directory()
    const amount = (o: { amount: bigint }) => o.amount
    const spread = (name: string, type: 'f64' | 'i64') =>
      linear(name, [(o: { amount: bigint }) => o.amount], type, (sum: bigint, n: bigint) => (sum / n) as never)
    const mean = linear('mean', [amount], 'f64', (sum: bigint, n: bigint) => Number(sum) / Number(n))
    const most = semigroup('most', amount, 'i64', (a, b) => (a > b ? a : b))
    const texts = fold<{ amount: bigint }, [bigint], string, 'string'>('texts', [amount], 'string', {
      initial: () => '',
      step: (text: string, n: bigint) => `${text}${n};`,
      finish: text => text,
    })
    const own = view('own', q =>
      q
        .from(orders)
        .groupBy(o => ({ customer: o.customer }))
        .aggregate({ mean, most, texts }),
    )
    const over = view('over', q => q.from(own).map(o => ({ customer: o.customer, texts: o.texts })))
    const db = directory.open()
    db.createView(over)
    for (let id = 1; id <= 6; id++) await db.insert(orders, order(id, id * 10))
    db.checkpoint()
    await db.delete(orders, order(3, 30))
    expect(() => directory.reopen()).toThrow(
      'view "own" calls the aggregate "mean", which is not known; give it to open',
    )
    const udfs = [most, filtered(texts, o => o.amount > 0n), mean]
    const again = directory.reopen({ udfs })
    expect(again.durability?.parts).toMatchObject({ restored: 2, begun: 0 })
    expect(again.createView(own).get(0n)).toEqual({ customer: 0n, mean: 60, most: 60n, texts: '60;' })
    again.insert(orders, order(9, 0))
    expect(again.view(over).get(0n)).toEqual({ customer: 0n, texts: '0;60;' })
    await again.durability?.sync()
    expect(() => directory.reopen({ udfs: [most, texts, spread('mean', 'i64')] })).toThrow(
      'aggregate "mean" gives i64, stored as f64',
    )
    expect(() => directory.reopen({ udfs: [count() as never] })).toThrow('or aggregates of your own')
  })

  it('refuses options that cannot be', async () => {
    await expect(open('/tmp/nowhere', { memory: 'much' })).rejects.toThrow(
      `option memory: expected bytes, or text like '512MiB'`,
    )
    await expect(open('/tmp/nowhere', { udfs: [(() => 1) as never] })).rejects.toThrow(
      'expected functions made with udf',
    )
  })

  it.each<[unknown, string]>([
    [null, 'open: expected options, found null'],
    [5, 'open: expected options, found 5'],
    [
      { encrypton: undefined },
      'open: unknown option "encrypton"; the options are mode, historyRows, clock, durability, ',
    ],
    ...[Number.NaN, -1, 0, '5', 1e300, null, 2 ** 31].map((checkpointMs): [unknown, string] => [
      { checkpointMs },
      'option checkpointMs: expected milliseconds from 1 to 2147483647, or Infinity for never, found ',
    ]),
    [{ mode: 'x' }, 'option mode: expected "compiled" or "generic", found the string "x"'],
    [{ onEvent: 5 }, 'option onEvent: expected a function, found 5'],
    [{ udfs: 5 }, 'option udfs: expected an array, found 5'],
    [{ migrate: 5 }, 'option migrate: expected an array, found 5'],
    [{ intervalMs: 2 ** 31 }, 'option intervalMs: expected at most 2147483647'],
    [{ encryption: {} }, 'option encryption: expected a key provider, '],
    [{ encryption: null }, 'option encryption: expected a key provider, '],
  ])('refuses options %j', async (options, message) => {
    const opening = open('/tmp/nowhere', options as OpenDirectoryOptions)
    await expect(opening).rejects.toThrow(UsageError)
    await expect(opening).rejects.toThrow(message)
  })

  it('refuses options in memory that are for directories, or for nothing', () => {
    for (const options of [{ bogus: 1 }, { memory: '1GiB' }]) {
      expect(() => open(options as never)).toThrow(/unknown option "(bogus|memory)"; the options are mode, historyRows/)
    }
    expect(() => open({ mode: 'x' } as never)).toThrow(UsageError)
    expect(() => open({} as never, {})).toThrow('expected a directory before options')
    expect(() => open({ clock: { everyMs: '5' } } as never)).toThrow('found everyMs of the string "5"')
  })

  it('opens the directory of a file: URL, and refuses others', async () => {
    const directory = new Directory()
    const db = await open(new URL('file:///a%20b'), { env: directory.env })
    await db.close()
    expect(directory.env.files().some(({ path }) => path.startsWith('/a b/'))).toBe(true)
    await expect(open(new URL('https://example.org/a'))).rejects.toThrow('expected a path or a file: URL')
  })
})

/** A database with one order, and the weights that a subscriber of its view hears, on a disk that is full from now on. */
async function fullDisk() {
  const directory = new Directory()
  const db = directory.open()
  db.createView(totals)
  await db.insert(orders, order(1, 10))
  const seen: bigint[] = []
  db.view(totals).subscribe(({ changes }) => seen.push(...changes.map(c => c.weight)))
  directory.env.capacityBytes = directory.env.usedBytes
  return { directory, db, seen }
}

it('takes back what a full disk refuses, and goes on when there is room', async () => {
  const { directory, db, seen } = await fullDisk()
  const commit = db.insert(orders, { ...order(2, 20), note: 'x'.repeat(1 << 22) })
  expect(db.view(totals).rows()).toHaveLength(2)
  await expect(commit).rejects.toThrow('disk is full')
  expect(db.view(totals).rows()).toEqual([{ customer: 1n, orders: 1n, total: 10n }])
  expect(seen).toEqual([1n, -1n])
  directory.env.capacityBytes = Number.POSITIVE_INFINITY
  await db.insert(orders, order(3, 30))
  expect(
    directory
      .reopen()
      .table(orders)
      .rows()
      .map(o => o.id),
  ).toEqual([1n, 3n])
})

it('says that the disk is full where it refuses a definition, and takes back what came before', async () => {
  const { directory, db, seen } = await fullDisk()
  const definitions = [
    () => db.createView(large),
    () => db.dropView(totals),
    () => db.alterTable(orders, { add: { paid: i64().nullable() } }),
  ]
  for (const define of definitions) {
    const commit = Promise.resolve(db.insert(orders, { ...order(2, 20), note: 'x'.repeat(1 << 21) }))
    expect(define).toThrow('disk is full')
    await expect(commit).rejects.toThrow('disk is full')
    expect(seen.splice(0)).toEqual([1n, -1n])
  }
  directory.env.capacityBytes = Number.POSITIVE_INFINITY
  expect(db.createView(large).rows()).toEqual([])
  const again = directory.reopen()
  expect([again.view(totals).rows(), again.view(large).rows()]).toEqual([
    [{ customer: 1n, orders: 1n, total: 10n }],
    [],
  ])
})

it('keeps state in shards when memory is short', async () => {
  const directory = new Directory()
  const db = directory.open({ memory: '64KiB' })
  db.createView(totals)
  for (let batch = 0; batch < 20; batch++) {
    db.ingest(
      orders,
      Array.from({ length: 1000 }, (_, n) => ({ ...order(batch * 1000 + n, n), customer: n })),
    )
  }
  expect(db.durability?.parts.hotBytes).toBeLessThan(1 << 20)
  expect(db.view(totals).get(7n)).toEqual({ customer: 7n, orders: 20n, total: 140n })
  db.delete(orders, { ...order(7, 7), customer: 7 })
  expect(db.view(totals).get(7n)).toEqual({ customer: 7n, orders: 19n, total: 133n })
  expect(db.view(totals).size).toBe(1000)
  await db.close()
  expect(directory.open().view(totals).get(8n)).toEqual({ customer: 8n, orders: 20n, total: 160n })
})

it('lets no listener of events write or read in the middle of a move', async () => {
  const directory = new Directory()
  const refusals: string[] = []
  const told = new Set<string>()
  const onEvent = ({ kind }: StorageEvent) => {
    const calls = [() => db.insert(orders, order(1000, 1)), () => db.table(orders).rows(), () => db.close()]
    for (const call of kind === 'recover' ? [] : calls) {
      told.add(kind)
      refusals.push(expectError(call, 'USAGE', 'a listener of events (onEvent) is being called').message)
    }
  }
  const db = directory.open({ onEvent })
  db.createView(totals)
  await db.insert(orders, order(1, 10))
  db.checkpoint()
  expect([told.size, refusals.length % 3]).toEqual([2, 0])
  await db.insert(orders, order(2, 20))
  expect(directory.reopen().view(totals).rows()).toHaveLength(2)
})

it('says that it is closed, whatever is read', async () => {
  const directory = new Directory()
  const db = directory.open()
  const view = db.createView(totals)
  await db.insert(orders, order(1, 10))
  await db.close()
  const reads = [() => view.rows(), () => [...db.table(orders).range({})], () => view.get(1n), () => db.snapshot()]
  for (const read of reads) expectError(read, 'USAGE', 'the database is closed')
})

it('survives simulated crashes', async () => {
  const tally = newDatabaseTally()
  for (let seed = 900_000; seed < 900_006; seed++) await simulateDatabase(seed, tally)
  expect(tally.kills + tally.powerCuts).toBeGreaterThan(10)
  expect(tally.restored + tally.rebuilt).toBeGreaterThan(0)
})

it('tells its figures', async () => {
  const db = new Directory().open()
  db.createView(totals)
  await db.insert(orders, [order(1, 10), order(2, 20)])
  db.checkpoint()
  const text = db.metrics()
  expect(text).toContain('# TYPE gnitz_lsn counter\ngnitz_lsn 2\n')
  expect(text).toContain('gnitz_checkpoint_lsn 2\n')
  expect(text).toContain('gnitz_table_rows{table="orders"} 2\n')
  expect(text).toMatch(/^gnitz_shards [1-9]\d*$/m)
  expect(open().metrics()).not.toContain('gnitz_log_bytes')
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) gnitz_\w+ .+|gnitz_\w+(\{.*\})? -?\d+(\.\d+)?(e[-+]\d+)?)$/)
})
