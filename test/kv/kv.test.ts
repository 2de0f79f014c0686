/** Key-value stores: against a Map, in memory and in directories, in transactions and snapshots. */
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import { checkDatabase } from '../../src/engine/durable/check.js'
import { behind, headOf } from '../../src/engine/kv/definition.js'
import { openLoaded } from '../../src/engine/open.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  ConflictError,
  count,
  type Database,
  type KvRangeOptions,
  kv,
  open,
  string,
  table,
  view,
} from '../../src/index.js'
import type { JsonValue } from '../../src/schema/nested.js'
import { compareBytes, compareStrings } from '../../src/schema/values.js'
import { loadStorage } from '../../src/storage/open.js'
import { expectError } from '../engine/support.js'

beforeAll(loadStorage)

const texts = kv('texts', { key: 'string', value: 'string' })
const PREFIX = 'a prefix that is longer than a head/'
/** Keys that are prefixes of others, differ beyond the head, cross it with wide characters, or are strange. */
const KEYS = [
  ...['', '\0', 'a', 'a\0', 'a\0\0', 'ab', 'b', '\u{10ffff}', '\ud7ff', '\ue000', 'ä', '€', '😀', 'constructor'],
  ...[PREFIX, `${PREFIX}1`, `${PREFIX}10`, `${PREFIX}2`, `${PREFIX}😀`, '123456789012345', '123456789012345€'],
  ...[
    '123456789012345a',
    '123456789012345\0',
    '1234567890123456',
    '12345678901234567',
    '12345678901234😀',
    '1234567890123€x',
  ],
]

class Model {
  readonly map = new Map<string, string>()

  keys({ from, to, after, prefix, reverse = false, limit = Infinity }: KvRangeOptions<string> = {}): string[] {
    const order = (a: string, b: string) => compareStrings(a, b) * (reverse ? -1 : 1)
    const inside = (key: string) =>
      (from === undefined || compareStrings(key, from) >= 0) &&
      (to === undefined || compareStrings(key, to) <= 0) &&
      (after === undefined || order(key, after) > 0) &&
      (prefix === undefined || key.startsWith(prefix))
    return [...this.map.keys()].filter(inside).sort(order).slice(0, limit)
  }
}

function randomRange(random: Prng): KvRangeOptions<string> {
  const options: Record<string, unknown> = {}
  for (const bound of ['from', 'to', 'after']) if (random.chance(0.2)) options[bound] = random.pick(KEYS)
  if (random.chance(0.4)) options.prefix = random.pick([...KEYS, 'a prefix', '1234567890123', 'missing'])
  if (random.chance(0.4)) options.reverse = true
  if (random.chance(0.3)) options.limit = random.below(4)
  return options
}

function compare(db: Database, model: Model, random: Prng): void {
  const store = db.kv(texts)
  for (let n = 0; n < 4; n++) {
    const options = randomRange(random)
    const keys = model.keys(options)
    expect([...store.keys(options)], JSON.stringify(options)).toEqual(keys)
    expect([...store.range(options)]).toEqual(keys.map(key => [key, model.map.get(key)]))
    const key = random.pick(KEYS)
    expect([store.get(key), store.has(key)]).toEqual([model.map.get(key), model.map.has(key)])
  }
  expect(store.count()).toBe(model.map.size)
}

function write(db: Database, model: Model, random: Prng): void {
  const store = db.kv(texts)
  const { map } = model
  const key = random.pick(KEYS)
  const value = random.pick(['', 'short', 'a value that is longer than a cell', 'a large value, '.repeat(20)])
  const old = map.get(key)
  switch (random.below(7)) {
    case 0:
    case 1:
      store.put(key, value)
      map.set(key, value)
      break
    case 2:
      expect(store.delete(key) !== null).toBe(map.delete(key))
      break
    case 3:
      expect(store.putIfAbsent(key, value) !== null).toBe(old === undefined)
      if (old === undefined) map.set(key, value)
      break
    case 4: {
      const expected = random.pick([undefined, '', value, old])
      const next = random.pick([undefined, value])
      expect(store.compareAndSet(key, expected, next) !== null).toBe(expected === old)
      if (expected !== old) break
      if (next === undefined) map.delete(key)
      else map.set(key, next)
      break
    }
    case 5: {
      const entries = Array.from({ length: random.below(8) }, () => [random.pick(KEYS), value] as const)
      store.putAll(entries)
      for (const [k, v] of entries) map.set(k, v)
      break
    }
    default: {
      const options = { ...randomRange(random), limit: 3 }
      const keys = model.keys(options)
      expect(store.deleteRange(options) !== null).toBe(keys.length > 0)
      for (const k of keys) map.delete(k)
    }
  }
}

describe('a key-value store', () => {
  it('is a sorted map', () => {
    const random = new Prng(1)
    const db = open()
    const model = new Model()
    for (let n = 0; n < 150; n++) {
      write(db, model, random)
      compare(db, model, random)
    }
  })

  it('is one in a directory, whatever becomes of its rows', async () => {
    const random = new Prng(2)
    const env = new SimulatedEnv({ seed: 1 })
    const reopen = () =>
      openLoaded('/db', { env, checkpointMs: Number.POSITIVE_INFINITY, valueThreshold: 64, memory: '16KiB' })
    let db = reopen()
    const lengths = view('lengths', q => q.from(texts.table).aggregate({ keys: count() }))
    db.createView(lengths)
    const model = new Model()
    for (let n = 0; n < 120; n++) {
      write(db, model, random)
      if (random.chance(0.1)) db.checkpoint()
      if (random.chance(0.1)) db.durability?.storage.compact()
      if (random.chance(0.05)) {
        await db.close()
        db = reopen()
      }
      compare(db, model, random)
    }
    expect(checkDatabase(db).findings).toEqual([])
    expect(db.view(lengths).rows()).toEqual([{ keys: BigInt(model.map.size) }])
    await db.close()
  })

  it('keeps values of all types and sizes', async () => {
    const env = new SimulatedEnv({ seed: 1 })
    let db = openLoaded('/db', { env })
    const large = Uint8Array.from({ length: 50_000 }, (_, i) => i * 7)
    const values: JsonValue[] = [null, true, 1.5, 'text', [], [1, [null]], {}, { a: { b: '€' }, c: [false] }]
    const fill = () => {
      const blobs = db.kv('blobs', { key: 'bytes', value: 'bytes' })
      const documents = db.kv('documents', { key: 'string', value: 'json' })
      return { blobs, documents }
    }
    const first = fill()
    first.blobs.put(new Uint8Array(0), new Uint8Array(0))
    first.blobs.put(Uint8Array.of(0), large)
    first.blobs.put(Uint8Array.of(255, 255), Uint8Array.of(1))
    first.documents.putAll(values.map((value, n) => [`${n}`, value]))
    for (let round = 0; round < 2; round++) {
      const { blobs, documents } = fill()
      const [none, same, missing] = blobs.getMany([new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(1)])
      expect([none?.length, Buffer.from(same ?? []).equals(large), missing]).toEqual([0, true, undefined])
      expect([...blobs.keys({ prefix: Uint8Array.of(255) })]).toEqual([Uint8Array.of(255, 255)])
      expect([...blobs.keys({ prefix: Uint8Array.of(255), reverse: true })]).toEqual([Uint8Array.of(255, 255)])
      expect(Array.from(documents.range(), ([, value]) => value)).toEqual(values)
      expect(documents.compareAndSet('7', { c: [false], a: { b: '€' } }, { a: { b: '€' }, c: [false] })).not.toBeNull()
      expect(documents.compareAndSet('0', 0, 1)).toBeNull()
      await db.close()
      db = openLoaded('/db', { env })
    }
    expectTypeOf(first.blobs.get).returns.toEqualTypeOf<Uint8Array | undefined>()
    await db.close()
  })

  it('belongs to transactions and snapshots', () => {
    const db = open()
    const store = db.kv(texts)
    const orders = table('orders', { id: string().primaryKey() })
    db.createTable(orders)
    db.transact(tx => {
      tx.insert(orders, { id: '1' })
      const inside = tx.kv(texts)
      inside.putAll([
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ])
      expect([inside.get('b'), inside.delete('b'), inside.delete('b'), [...inside.keys()]]).toEqual([
        '2',
        true,
        false,
        ['a', 'c'],
      ])
      expect(inside.putIfAbsent('a', 'x')).toBe(false)
    })
    using snapshot = db.snapshot()
    const failing = () =>
      store.batch(batch => {
        batch.put('d', '4')
        batch.put(7 as never, '5')
      })
    expectError(failing, 'USAGE', 'kv "texts": key: expected a string, found 7')
    // Deleting while iterating.
    for (const key of store.keys()) store.delete(key)
    expect([store.count(), snapshot.kv(store).count(), snapshot.kv(texts).get('a')]).toEqual([0, 2, '1'])

    store.put('user/1', 'x')
    const tx = db.begin()
    expect([...tx.kv(texts).keys({ prefix: 'user/' })]).toEqual(['user/1'])
    tx.kv(texts).put('total', '1')
    store.put('other', 'y')
    tx.commit()
    const late = db.begin()
    expect(late.kv(texts).count({ prefix: 'user/' })).toBe(1)
    late.kv(texts).put('total', '2')
    store.put('user/2', 'z')
    expect(() => late.commit()).toThrow(ConflictError)
  })

  it('refuses what does not fit', () => {
    const db = open()
    const store = db.kv('blobs', { key: 'string', value: 'bytes' })
    expectError(() => store.get(1 as never), 'USAGE', 'kv "blobs": key: expected a string, found 1')
    expectError(() => store.put('\ud800', new Uint8Array(1)), 'USAGE', 'lone surrogate')
    expect(() => store.put('a', 'text' as never)).toThrow('column "value"')
    expect(() => store.put('a', null as never)).toThrow('column "value"')
    expectError(() => store.range({ limit: -1 }), 'USAGE', 'expected a limit')
    expectError(() => store.keys({ from: 1 as never }), 'USAGE', 'kv "blobs": from: expected a string')
    expectError(() => store.batch(async () => undefined), 'USAGE', 'not async')
    expectError(
      () => db.kv('blobs', { key: 'bytes', value: 'bytes' }),
      'SCHEMA',
      'column "key" is bytes, stored as string',
    )
    expectError(() => kv('x', { key: 'number', value: 'bytes' } as never), 'SCHEMA', 'expected "string" or "bytes"')
    expectError(() => db.kv(undefined as never), 'USAGE', 'expected a key-value store')
    expect(db.kv('blobs', { key: 'string', value: 'bytes' }).count()).toBe(0)
    expect(store.delete('missing')).toBeNull()
    const lsn = db.lsn
    expect(store.deleteRange({ prefix: 'a' })).toBeNull()
    expect(db.lsn).toBe(lsn)
    db.dropTable('blobs')
    expectError(() => store.get('a'), 'USAGE', 'was dropped')
  })
})

it('refuses undefined as a value, and options of ranges that there are not', () => {
  const db = open()
  const store = db.kv('docs', { key: 'string', value: 'json' })
  store.put('a', null)
  const found = 'kv "docs": expected a value, found undefined, which stands for nothing'
  expectError(() => store.put('a', undefined as never), 'USAGE', found)
  expectError(() => store.putAll([['b', undefined as never]]), 'USAGE', found)
  expectError(() => store.putIfAbsent('b', undefined as never), 'USAGE', found)
  const known = 'kv "docs": unknown option "prefx"; the options are from, to, after, reverse, limit, prefix'
  const wrong = { prefx: 'zzz' } as never
  for (const call of ['range', 'keys', 'count', 'deleteRange'] as const) {
    expectError(() => store[call](wrong), 'USAGE', known)
    expectError(() => db.transact(tx => void tx.kv(store)[call](wrong)), 'USAGE', known)
  }
  expectError(() => store.deleteRange(undefined as never), 'USAGE', 'expected options, found undefined')
  expect([...store.range()]).toEqual([['a', null]])
})

it('heads are in the order of keys, and bounds lie behind prefixes', () => {
  const random = new Prng(3)
  const bytes = () => Uint8Array.from({ length: random.below(20) }, () => random.pick([0, 1, 255, random.below(256)]))
  for (let n = 0; n < 500; n++) {
    const [a, b] = [random.pick(KEYS), random.pick(KEYS)]
    if (headOf(a) !== headOf(b)) expect(headOf(a) < headOf(b)).toBe(compareStrings(a, b) < 0)
    const [x, y] = [bytes(), bytes()]
    if (headOf(x) !== headOf(y)) expect(headOf(x) < headOf(y)).toBe(compareBytes(x, y) < 0)
    const end = behind(a)
    if (end !== null) expect(compareStrings(b, end) >= 0 || compareStrings(b, a) < 0 || b.startsWith(a)).toBe(true)
    if (end !== null && b.startsWith(a)) expect(compareStrings(b, end)).toBeLessThan(0)
  }
  expect([behind(''), behind('\u{10ffff}'), behind('a\ud7ff'), behind(Uint8Array.of(255))]).toEqual([
    null,
    null,
    'a\ue000',
    null,
  ])
  expect(behind(Uint8Array.of(1, 255))).toEqual(Uint8Array.of(2))
})
