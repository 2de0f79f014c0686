/** A storage directory equals a Map: through seals, flushes, compactions, checkpoints and reopenings. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { FormatError, LockedError, UsageError, WeightOverflowError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { Storage, type StorageOptions } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import type { ShardIo } from '../../src/storage/types.js'
import type { ZStore } from '../../src/storage/zstore.js'
import { Batch } from '../../src/zset/batch.js'
import { contents, MODES, runOf, schemaOf, sumOf, textOf, type Weighted } from '../zset/support.js'
import { IOS } from './shard-support.js'

const root = mkdtempSync(join(tmpdir(), 'gnitz-storage-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directories = 0
const newDirectory = () => join(root, `d${++directories}`)

const plain = arrangedLayout(schemaOf('plain', 'id:u64', 'v:i32', 'x:f64?'), [0])
const texts = arrangedLayout(schemaOf('texts', 'name:string', 'note:string?', 'n:i64'), [0])
const pair = arrangedLayout(schemaOf('pair', 'a:u64', 'b:u64', 's:string'), [0, 1])
const LAYOUTS: readonly Layout[] = [plain, texts, pair]

function optionsOf(directory: string, mode: 'generic' | 'compiled', io: ShardIo, more: Partial<StorageOptions> = {}) {
  return {
    env: new NodeEnv(),
    directory,
    kernelsOf: (layout: Layout) => kernelsOf(layout, mode),
    durability: 'none' as const,
    memTableBytes: 4096,
    walBytes: 1 << 16,
    io,
    ...more,
  }
}

function rowOf(layout: Layout, prng: Prng): Weighted['row'] {
  const text = () => ['', 'a', 'short text', 'a text that is long enough for the heap'][prng.below(4)] + prng.below(30)
  switch (layout) {
    case plain:
      return [BigInt(prng.below(200)), prng.below(3), prng.chance(0.3) ? null : prng.below(3) / 2]
    case texts:
      return [text(), prng.chance(0.3) ? null : text(), BigInt(prng.below(3))]
    default:
      return [BigInt(prng.below(20)), BigInt(prng.below(10)), text()]
  }
}

function deltaOf(layout: Layout, prng: Prng, live: readonly Weighted[]): Weighted[] {
  const size = prng.chance(0.1) ? 300 : 1 + prng.below(20)
  return Array.from({ length: size }, () => {
    if (live.length > 0 && prng.chance(0.4)) return { row: prng.pick(live).row, weight: -1n }
    return { row: rowOf(layout, prng), weight: prng.chance(0.1) ? 3n : 1n }
  })
}

/** Everything a reader sees, by whole runs and by cursor, which must agree. */
function read(store: ZStore): Map<string, bigint> {
  const snapshot = store.snapshot()
  const runs = sumOf(...snapshot.runs().map(contents))
  const rows: Weighted[] = []
  const cursor = store.cursor()
  for (let batch = cursor.next(); batch !== null; batch = cursor.next()) rows.push(...contents(batch))
  cursor.close()
  snapshot.release()
  expect(sumOf(rows)).toEqual(runs)
  return runs
}

class Model {
  rows: Weighted[] = []

  add(delta: readonly Weighted[]): void {
    const sums = sumOf(this.rows, delta)
    const distinct = new Map([...this.rows, ...delta].map(({ row }) => [textOf(row), row]))
    this.rows = [...sums].map(([text, weight]) => ({ row: distinct.get(text) as Weighted['row'], weight }))
  }
}

function checkKeys(tree: Tree, model: Model, layout: Layout, prng: Prng): void {
  const out = new Batch(layout, 4)
  for (let n = 0; n < 20; n++) {
    const row = model.rows.length > 0 && prng.chance(0.7) ? prng.pick(model.rows).row : rowOf(layout, prng)
    tree.get(runOf(layout, [{ row, weight: 1n }]), 0, out)
    const key = (r: Weighted['row']) => textOf(layout.key.columns.map(c => r[c]))
    expect(sumOf(contents(out))).toEqual(sumOf(model.rows.filter(r => key(r.row) === key(row))))
  }
}

describe.each(MODES)('%s kernels', mode => {
  test.each(IOS)('%s: a random history over three tables', async io => {
    const prng = new Prng(io === 'map' ? 1 : 2)
    const directory = newDirectory()
    const kinds: string[] = []
    const open = () => Storage.open(optionsOf(directory, mode, io, { onEvent: e => kinds.push(e.kind) }))
    let storage = await open()
    const policies = ['write-heavy', 'read-heavy', 'write-heavy'] as const
    for (const [l, layout] of LAYOUTS.entries()) storage.createTable(layout, { policy: policies[l] })
    const models = LAYOUTS.map(() => new Model())
    for (let step = 0; step < 45; step++) {
      const deltas = LAYOUTS.map((layout, l) => (prng.chance(0.6) ? deltaOf(layout, prng, models[l].rows) : []))
      const changes = LAYOUTS.map((layout, l) => ({
        table: storage.table(layout.schema.name) as Tree,
        delta: runOf(layout, deltas[l]),
      }))
      await storage.commit(changes).durable
      for (const [l, delta] of deltas.entries()) models[l].add(delta)
      if (prng.chance(0.03)) storage.checkpoint()
      if (prng.chance(0.03)) storage.compact()
      if (prng.chance(0.04)) {
        await storage.close({ checkpoint: prng.chance(0.5) })
        storage = await open()
      }
      if (step % 10 !== 0) continue
      for (const [l, layout] of LAYOUTS.entries()) {
        const tree = storage.table(layout.schema.name) as Tree
        expect(read(tree)).toEqual(sumOf(models[l].rows))
        checkKeys(tree, models[l], layout, prng)
      }
    }
    expect(new Set(kinds)).toEqual(new Set(['seal', 'flush', 'compact', 'checkpoint', 'recover']))
    await storage.close()
  })
})

test('small transactions that are replayed together are what they were one by one, extreme weights included', async () => {
  const directory = newDirectory()
  const options = optionsOf(directory, 'compiled', 'auto', { walBytes: 1 << 30, memTableBytes: 1 << 16 })
  const prng = new Prng(12)
  let storage = await Storage.open(options)
  for (const layout of LAYOUTS) storage.createTable(layout)
  const all: Weighted[][] = LAYOUTS.map(() => [])
  const put = (l: number, delta: Weighted[]) => {
    const table = storage.table(LAYOUTS[l].schema.name) as Tree
    all[l].push(...delta)
    return storage.commit([{ table, delta: runOf(LAYOUTS[l], delta) }]).durable
  }
  for (const heavy of [false, true]) {
    const row: Weighted['row'] = [7000n, 1, null]
    for (let n = 0; n < 200; n++) {
      const l = prng.below(3)
      await put(l, deltaOf(LAYOUTS[l], prng, all[l]).slice(0, n === 99 ? 300 : 3))
      // In another order the sums of a table's transactions would leave 64 bits.
      if (heavy) await put(0, [{ row, weight: n % 2 === 0 ? 2n ** 63n - 1000n : -(2n ** 63n) + 1000n }])
    }
    await storage.close({ checkpoint: false })
    storage = await Storage.open(options)
    expect(storage.recovery.groups).toBeGreaterThan(150)
    for (const [l, layout] of LAYOUTS.entries()) {
      expect(read(storage.table(layout.schema.name) as Tree)).toEqual(sumOf(all[l]))
    }
  }
  await storage.close()
})

test('a directory can be read beside its writer, and nothing in it changes', async () => {
  const directory = newDirectory()
  const writable = optionsOf(directory, 'compiled', 'auto', { walBytes: 1 << 30 })
  await expect(Storage.open({ ...writable, readOnly: true })).rejects.toThrow(FormatError)
  expect(existsSync(directory)).toBe(false)
  const writer = await Storage.open(writable)
  for (const layout of LAYOUTS) writer.createTable(layout)
  const prng = new Prng(8)
  const put = async (rows: number) => {
    for (const [l, layout] of LAYOUTS.entries()) {
      const delta = Array.from({ length: rows }, (_, i) => ({ row: rowOf(LAYOUTS[l], prng), weight: BigInt(i + 1) }))
      await writer.commit([{ table: writer.table(layout.schema.name) as Tree, delta: runOf(layout, delta) }]).durable
    }
  }
  await put(50)
  writer.checkpoint()
  await put(3)
  // More than a MemTable holds, which the reader must not write away.
  await put(200)
  const files = () => readdirSync(directory).map(name => [name, statSync(join(directory, name)).mtimeMs])
  const before = files()
  // No byte can be written, nor anything made, renamed or removed.
  const refuse = () => {
    throw new Error('a reader changes nothing')
  }
  const env = Object.assign(new NodeEnv(), { lock: refuse, remove: refuse, rename: refuse, makeDirectory: refuse })
  const open = env.open.bind(env)
  env.open = (path, mode) => (mode === 'read' ? open(path, mode) : refuse())
  env.syncDirectory = refuse
  const reader = await Storage.open({ ...writable, env, readOnly: true })
  expect(reader.lsn).toBe(writer.lsn)
  expect(reader.recovery.groups).toBe(6)
  for (const { schema } of LAYOUTS) {
    expect(read(reader.table(schema.name) as Tree)).toEqual(read(writer.table(schema.name) as Tree))
  }
  const table = reader.table('plain') as Tree
  const delta = runOf(plain, [{ row: [1n, 1, null], weight: 1n }])
  for (const change of [
    () => reader.commit([{ table, delta }]),
    () => reader.checkpoint(),
    () => reader.compact(),
    () => reader.dropTable(table),
    () => reader.createTable(arrangedLayout(schemaOf('other', 'id:u64'), [0])),
  ]) {
    expect(change).toThrow(/was opened to be read only/)
  }
  expect(reader.createTable(plain)).toBe(table)
  expect(files()).toEqual(before)
  // What the writer does meanwhile is not seen, and does no harm.
  const snapshot = read(table)
  await put(100)
  writer.checkpoint()
  writer.compact()
  expect(read(table)).toEqual(snapshot)
  await reader.close()
  await writer.close()
})

test('a snapshot stays as it was while rows come, shards are merged and files are superseded', async () => {
  const storage = await Storage.open(optionsOf(newDirectory(), 'compiled', 'auto'))
  const table = storage.createTable(plain)
  const rows = (from: number, weight: bigint): Weighted[] =>
    Array.from({ length: 500 }, (_, n) => ({ row: [BigInt(from + n), 0, null], weight }))
  const put = (list: Weighted[]) => storage.commit([{ table, delta: runOf(plain, list) }]).durable
  await put(rows(0, 1n))
  expect(storage.registry.flagged()).toEqual([])
  const [[, before]] = storage.snapshot([table])
  for (let n = 0; n < 20; n++) await put(rows(n * 50, n % 2 === 0 ? -1n : 1n))
  storage.checkpoint()
  expect(storage.registry.amplification(table.tableId)).toBe(table.stats().amplification)
  expect(storage.registry.shardsOf(table.tableId)).toEqual(table.entries)
  storage.compact()
  storage.checkpoint()
  expect(sumOf(...before.runs().map(contents))).toEqual(sumOf(rows(0, 1n)))
  const out = new Batch(plain, 1)
  expect(before.get(runOf(plain, rows(7, 1n).slice(0, 1)), 0, out)).toBe(1)
  before.release()
  expect(() => before.runs()).toThrow(UsageError)
  await storage.close()
})

test('a closed storage, a directory in use, another schema, a table twice, weights that overflow', async () => {
  const directory = newDirectory()
  const options = optionsOf(directory, 'compiled', 'auto')
  const storage = await Storage.open(options)
  const table = storage.createTable(plain)
  expect(storage.createTable(plain)).toBe(table)
  await expect(Storage.open(options)).rejects.toThrow(LockedError)
  await expect(Storage.open(options)).rejects.toThrow(`process ${process.pid} is writing`)
  const other = arrangedLayout(schemaOf('plain', 'id:u64', 'v:i64', 'x:f64?'), [0])
  expect(() => storage.createTable(other)).toThrow(FormatError)
  const one = (weight: bigint) => runOf(plain, [{ row: [1n, 1, null], weight }])
  expect(() =>
    storage.commit([
      { table, delta: one(1n) },
      { table, delta: one(1n) },
    ]),
  ).toThrow(UsageError)
  await storage.commit([{ table, delta: one(2n ** 63n - 1n) }]).durable
  expect(() => storage.commit([{ table, delta: one(1n) }])).toThrow(WeightOverflowError)
  storage.checkpoint()
  expect(() => storage.commit([{ table, delta: one(1n) }])).toThrow(WeightOverflowError)
  await storage.commit([{ table, delta: one(-3n) }]).durable
  expect(read(table)).toEqual(sumOf([{ row: [1n, 1, null], weight: 2n ** 63n - 4n }]))
  await storage.close()
  await storage.close()
  expect(() => storage.commit([])).toThrow(UsageError)
  const again = await Storage.open(options)
  expect(read(again.table('plain') as Tree)).toEqual(sumOf([{ row: [1n, 1, null], weight: 2n ** 63n - 4n }]))
  await again.close()
})

test('operator state has no log: it is what the last checkpoint made of it', async () => {
  const options = optionsOf(newDirectory(), 'compiled', 'auto')
  let storage = await Storage.open(options)
  const state = storage.createTable(plain, { kind: 'ephemeral' })
  const one = (id: bigint) => runOf(plain, [{ row: [id, 1, null], weight: 1n }])
  await storage.commit([{ table: state, delta: one(1n) }]).durable
  storage.checkpoint()
  await storage.commit([{ table: state, delta: one(2n) }]).durable
  expect(read(state).size).toBe(2)
  await storage.close({ checkpoint: false })
  storage = await Storage.open(options)
  expect(read(storage.table('plain') as Tree).size).toBe(1)
  await storage.close()
})

test('a dropped table leaves no files', async () => {
  const options = optionsOf(newDirectory(), 'compiled', 'auto')
  let storage = await Storage.open(options)
  const table = storage.createTable(plain)
  const kept = storage.createTable(texts)
  const delta = () => runOf(plain, [{ row: [1n, 1, null], weight: 1n }])
  await storage.commit([{ table, delta: delta() }]).durable
  storage.checkpoint()
  await storage.commit([{ table, delta: delta() }]).durable
  storage.dropTable(table)
  expect(options.env.list(options.directory).filter(name => name.endsWith('.gnz'))).toEqual([])
  expect(storage.tables).toEqual([kept])
  await storage.close()
  storage = await Storage.open(options)
  expect(storage.tables.map(t => t.name)).toEqual(['texts'])
  expect(storage.createTable(plain).tableId).toBeGreaterThan(0)
  await storage.close()
})
