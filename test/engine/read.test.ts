/** Reading by key and by range, on every kind of key, against a sorted array. */
import { describe, expect, it } from 'vitest'
import type { ColumnBuilder } from '../../src/circuit/columns.js'
import * as columns from '../../src/circuit/columns.js'
import {
  count,
  i32,
  i64,
  type KeyInput,
  max,
  open,
  type RangeOptions,
  string,
  type TableHandle,
  table,
  type ViewDef,
  type ViewHandle,
  view,
} from '../../src/index.js'
import type { TypeName, Value } from '../../src/schema/types.js'
import { compareValues } from '../../src/schema/values.js'
import { type AnyRow, anyTable, expectError, picker } from './support.js'

const MAX_U64 = 2n ** 64n - 1n
const MAX_U128 = 2n ** 128n - 1n
const samples: Partial<Record<TypeName, readonly Value[]>> = {
  bool: [false, true],
  i8: [-128, -1, 0, 1, 127],
  u16: [0, 255, 256, 65535],
  i32: [-(2 ** 31), -1, 0, 1, 2 ** 31 - 1],
  u32: [0, 1, 2 ** 31, 2 ** 32 - 1],
  i64: [-(2n ** 63n), -1n, 0n, 1n, 2n ** 32n, 2n ** 63n - 1n],
  u64: [0n, 1n, 2n ** 32n, 2n ** 63n, MAX_U64],
  u128: [0n, 1n, MAX_U64, 2n ** 64n, 2n ** 127n, MAX_U128],
  f32: [-Infinity, -1.5, 0, 3, Infinity, Number.NaN],
  f64: [-Infinity, -1.5, 0, 5e-324, 3, Infinity, Number.NaN],
  uuid: ['00000000-0000-0000-0000-000000000001', '80000000-0000-0000-0000-000000000000'],
  string: ['', 'a', 'ab', 'abcdefghijklm', 'abcdefghijklmn', '😀', '\uffff'],
  bytes: [new Uint8Array(0), Uint8Array.of(1), new Uint8Array(18).fill(1), Uint8Array.of(255)],
  date: [-3, 0, 11_000],
  time: [0n, 86_399_999_999n],
  timestamptz: [-(2n ** 63n), 0n, 2n ** 63n - 1n],
}

/** Key columns: a type, nullable with a question mark. */
const keys = [
  ...Object.keys(samples).flatMap(type => [[type], [`${type}?`]]),
  ['u64', 'i64'],
  ['u64?', 'u32'],
  ['i32', 'string'],
  ['string', 'i32?'],
  ['u128', 'u128?'],
  ['u128?', 'bool'],
  ['u16', 'string?', 'bytes'],
  ['i64', 'i64', 'i64'],
  ['bool?', 'f64?', 'i8?'],
]

type Holder = 'table' | 'view' | 'groups'

/** A relation with the key, and random changes to it. */
class Subject {
  readonly names: readonly string[]
  readonly types: readonly TypeName[]
  readonly rows: AnyRow[] = []
  private readonly nullable: readonly boolean[]
  private readonly db = open()
  private readonly source
  readonly handle: TableHandle<AnyRow, AnyRow> | ViewHandle<AnyRow>

  constructor(
    key: readonly string[],
    private readonly holder: Holder,
    readonly pick: (n: number) => number,
  ) {
    this.types = key.map(k => k.replace('?', '') as TypeName)
    this.nullable = key.map(k => k.endsWith('?'))
    this.names = key.map((_, n) => `k${n}`)
    const builders = key.map((_, n): [string, ColumnBuilder<unknown, boolean, unknown>] => {
      const make = (columns as unknown as Record<TypeName, () => ColumnBuilder<unknown, false, unknown>>)[this.types[n]]
      return [`k${n}`, this.nullable[n] ? make().nullable() : make()]
    })
    const options = { primaryKey: holder === 'table' ? this.names : [] }
    this.source = anyTable('t', Object.fromEntries([...builders, ['p', i32()]]), options)
    this.handle = this.db.createTable(this.source)
    if (holder !== 'table') this.handle = this.db.createView(this.viewOf(holder))
  }

  private viewOf(holder: 'view' | 'groups'): ViewDef<AnyRow> {
    const { source, names } = this
    if (holder === 'view') return view('v', q => q.from(source), { key: names as string[] })
    const p = count()
    const one = () =>
      view('v', q =>
        q
          .from(source)
          .groupBy(r => ({ k0: r.k0 }))
          .aggregate({ p }),
      )
    const two = () =>
      view('v', q =>
        q
          .from(source)
          .groupBy(r => ({ k0: r.k0, k1: r.k1 }))
          .aggregate({ p }),
      )
    return (names.length === 1 ? one() : two()) as unknown as ViewDef<AnyRow>
  }

  randomRow(): AnyRow {
    const { pick } = this
    const cells = this.types.map((type, n): [string, Value] => {
      const values = samples[type] ?? []
      return [`k${n}`, this.nullable[n] && pick(4) === 0 ? null : values[pick(values.length)]]
    })
    return Object.fromEntries([...cells, ['p', pick(3)]])
  }

  change(count: number): void {
    const added = Array.from({ length: count }, () => this.randomRow())
    this.db.insert(this.source, added)
    this.rows.push(...added)
    if (this.rows.length > 1) this.db.delete(this.source, this.rows.splice(this.pick(this.rows.length), 1))
  }

  keyOf(row: AnyRow): Value[] {
    return this.names.map(name => row[name])
  }

  compare(row: AnyRow, key: readonly Value[]): number {
    for (let n = 0; n < key.length; n++) {
      const order = compareValues(this.types[n], row[`k${n}`], key[n])
      if (order !== 0) return order
    }
    return 0
  }

  /** The rows that the relation holds, sorted. */
  model(): AnyRow[] {
    const sorted = [...this.rows].sort((a, b) => this.compare(a, this.keyOf(b)) || Number(a.p) - Number(b.p))
    if (this.holder !== 'groups') return sorted
    const groups: AnyRow[] = []
    for (const row of sorted) {
      const last = groups[groups.length - 1]
      if (last !== undefined && this.compare(last, this.keyOf(row)) === 0) last.p = (last.p as bigint) + 1n
      else groups.push({ ...row, p: 1n })
    }
    return groups
  }
}

/** A key, or a prefix of one, by position or by name. */
function spelled(subject: Subject, key: readonly Value[]): KeyInput {
  return subject.pick(2) === 0 ? key : Object.fromEntries(key.map((value, n) => [subject.names[n], value]))
}

function checkRange(subject: Subject, model: readonly AnyRow[]): void {
  const { pick } = subject
  const key = () => subject.keyOf(pick(3) === 0 ? subject.randomRow() : subject.rows[pick(subject.rows.length)])
  const bound = () => (pick(2) === 0 ? null : key().slice(0, 1 + pick(subject.names.length)))
  const [from, to, after] = [bound(), bound(), pick(3) === 0 ? bound() : null]
  const reverse = pick(2) === 0
  const limit = pick(3) === 0 ? pick(5) : undefined
  const options: RangeOptions = {
    ...(from && { from: spelled(subject, from) }),
    ...(to && { to: spelled(subject, to) }),
    ...(after && { after: spelled(subject, after) }),
    ...(limit !== undefined && { limit }),
    reverse,
  }
  const wanted = model.filter(
    row =>
      (from === null || subject.compare(row, from) >= 0) &&
      (to === null || subject.compare(row, to) <= 0) &&
      (after === null || subject.compare(row, after) * (reverse ? -1 : 1) > 0),
  )
  if (reverse) wanted.reverse()
  expect([...subject.handle.range(options)], JSON.stringify(Object.keys(options))).toEqual(wanted.slice(0, limit))
}

describe('a key of', () => {
  it.each(keys.map((key): [string, readonly string[]] => [key.join(', '), key]))('%s', (_, key) => {
    const pick = picker(key.join().length)
    for (const holder of ['table', 'view', 'groups'] as const) {
      if (holder === 'table' && key.some(k => k.endsWith('?'))) continue
      if (holder === 'groups' && key.length > 2) continue
      const subject = new Subject(key, holder, pick)
      for (const changes of [1, 30, 200, 3]) {
        subject.change(changes)
        const model = subject.model()
        expect(subject.handle.rows()).toEqual(model)
        for (let n = 0; n < 8; n++) {
          const sought = subject.keyOf(n % 2 === 0 ? subject.randomRow() : subject.rows[pick(subject.rows.length)])
          const found = model.filter(row => subject.compare(row, sought) === 0)
          expect(subject.handle.getAll(spelled(subject, sought))).toEqual(found)
          expect(subject.handle.get(spelled(subject, sought))).toEqual(found[0])
          checkRange(subject, model)
        }
      }
    }
  })
})

const t = table('t', { id: i64().primaryKey(), k: string() })

describe('reading', () => {
  const db = open()
  const handles = () => {
    const definition = view('byKey', q => q.from(t), { key: ['k'] })
    const byKey = db.createView(definition)
    const groups = db.createView(
      view('groups', q =>
        q
          .from(t)
          .groupBy(r => ({ k: r.k }))
          .aggregate({ n: count(), last: max(r => r.id) }),
      ),
    )
    return [db.table(t), byKey, groups] as const
  }
  db.createTable(t)
  db.insert(
    t,
    Array.from({ length: 300 }, (_, i) => ({ id: i, k: `k${i % 7}` })),
  )
  const all = handles()

  it('in the middle of an iteration does not disturb it', () => {
    for (const h of all) {
      let seen = 0
      for (const row of h) {
        seen++
        const key = h === all[0] ? (row as { id: bigint }).id : (row as { k: string }).k
        expect((h as ViewHandle<unknown>).get(key)).toBeDefined()
        if (seen % 50 === 0) h.rows()
      }
      expect(seen).toBe(h.size)
    }
  })

  it('ends with an error where the relation changes on the way, and not where it ends first', () => {
    const row = { id: 1000, k: 'new' }
    for (const h of all) {
      const changing = () => {
        for (const _ of h) db.insert(t, row)
      }
      expectError(changing, 'USAGE', 'changed while')
      for (const _ of h.range({ limit: 1 })) db.insert(t, row)
      for (const _ of h) {
        db.insert(t, row)
        break
      }
    }
  })

  it('finds the nested value that a row holds, or says how to give it', () => {
    const db = open()
    const nested = {
      list: columns.array(columns.u8()),
      both: columns.struct({ x: columns.u8(), y: columns.u8() }),
      span: columns.interval(),
      named: columns.map(string(), columns.u8()),
      any: columns.json(),
      lists: columns.array(columns.array(columns.u8())),
    }
    const values: Record<keyof typeof nested, unknown>[] = [
      { list: [1], both: { x: 1, y: 2 }, span: { days: 1 }, named: { list: 1 }, any: [5], lists: [[]] },
      { list: [], both: { x: 2, y: 2 }, span: '1 month', named: new Map(), any: { any: 5 }, lists: [] },
      { list: [1, 2], both: { x: 0, y: 0 }, span: { micros: 5 }, named: { a: 1, b: 2 }, any: [1, 2], lists: [[1], []] },
    ]
    for (const name of Object.keys(nested) as (keyof typeof nested)[]) {
      const t = anyTable(`by_${name}`, { [name]: nested[name], n: i32() }, { primaryKey: [name] })
      const handle = db.createTable(t)
      const index = db.createIndex(t, 'i', { on: [name] })
      db.insert(t, values.map((row, n) => ({ [name]: row[name], n })) as AnyRow[])
      for (const [n, row] of values.entries()) {
        const found = handle.rows().find(r => r.n === n) as AnyRow
        const bare = name === 'any' || name === 'lists' ? [] : [row[name], found[name]]
        for (const key of [...bare, [row[name]], { [name]: row[name] }, [found[name]]] as KeyInput[]) {
          expect([name, handle.get(key), index.find(key)]).toEqual([name, found, [found]])
        }
      }
    }
    const any = db.table('by_any')
    expectError(
      () => any.get([1, 2]),
      'USAGE',
      'expected a key of "any", found 2 values; give the one value as [value]',
    )
    expectError(() => any.get({ a: 5 }), 'USAGE', 'the key, which is "any"; give the one value as [value]')
  })

  it('refuses keys and options that do not fit, at once', () => {
    const [table, , groups] = all
    const bad = [[], [1, 2], {}, { nope: 1 }, 'x', 1.5, null, undefined, { id: null }, new Date(0)]
    for (const key of bad) expectError(() => table.get(key as never), 'USAGE', 'table "t"')
    const known = 'range: unknown option "foo"; the options are from, to, after, reverse, limit'
    expectError(() => table.range({ foo: 5 } as never), 'USAGE', `table "t": ${known}`)
    expectError(() => db.snapshot().range(t as never, { foo: 5 } as never), 'USAGE', known)
    for (const limit of [-1, 1.5, Number.NaN, '1', null]) {
      expectError(() => table.range({ limit: limit as number }), 'USAGE', 'limit')
    }
    for (const from of [[1, 2], 'x', {}, { nope: 1 }]) {
      expectError(() => table.range({ from: from as never }), 'USAGE', 'table "t"')
    }
    expectError(() => groups.get(5), 'USAGE', '"k"')
  })
})
