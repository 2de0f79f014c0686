/**
 * Golden texts: what is generated for a few schemas and views, as files under `fixtures/generated`. They show a reader
 * what gnitz compiles to, and a reviewer what a change of a template or of the specialiser does to the code.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rowDecoder } from '../../codegen/decode.js'
import { rowEncoder } from '../../codegen/encode.js'
import { type CompiledKernels, kernelsOf } from '../../codegen/kernels.js'
import { SourceList } from '../../codegen/steps.js'
import * as g from '../../src/index.js'
import { arrangedLayout, flatLayout, type Layout, rowSchema } from '../../src/schema/schema.js'
import type { TypeName } from '../../src/schema/types.js'
import { SkipList } from '../../src/storage/memtable/skiplist.js'
import { Batch } from '../../src/zset/batch.js'
import { Heap } from '../../src/zset/heap.js'
import { Sorter } from '../../src/zset/sort.js'

export const FOLDER = new URL('../../fixtures/generated/', import.meta.url)
export const REGENERATE = 'if the change is wanted, run `npm run fixtures` and look at the difference'

/** Names that would do harm if they reached the text as they are, or are easily mistaken for something else. */
export const HOSTILE_NAMES = [
  '__proto__',
  'constructor',
  '"); process.exit(1)//',
  'line\nbreak',
  "'; globalThis.broken = 1; '",
  '*/ globalThis.broken = 2 /*',
  '${globalThis.broken = 3}',
  '\u2028globalThis.broken = 4',
  '💥',
  '\u200b',
  ' ',
  'class',
  'batch',
  '$layout',
  'hasOwnProperty',
]
export const HOSTILE_TABLE = '*/ globalThis.broken = 5 //"\n../x'

const TYPES: readonly TypeName[] = ['i32', 'string', 'f64', 'u64', 'bool', 'i64', 'date', 'u128', 'u16', 'bytes']

interface GoldenSchema {
  readonly folder: string
  readonly name: string
  readonly columns: readonly (readonly [name: string, type: TypeName, nullable?: boolean])[]
  readonly key: readonly number[]
}

const SCHEMAS: readonly GoldenSchema[] = [
  {
    folder: 'integer-key',
    name: 'orders',
    columns: [
      ['id', 'u64'],
      ['customer', 'u32'],
      ['amount', 'f64'],
    ],
    key: [0],
  },
  {
    folder: 'composite-key',
    name: 'positions',
    columns: [
      ['account', 'i32'],
      ['day', 'date'],
      ['isin', 'u64'],
      ['quantity', 'i64'],
      ['open', 'bool', true],
    ],
    key: [0, 1, 2],
  },
  {
    folder: 'nullable-text',
    name: 'notes',
    columns: [
      ['author', 'string'],
      ['title', 'string', true],
      ['body', 'string', true],
      ['at', 'timestamptz'],
    ],
    key: [0],
  },
  {
    folder: 'hostile',
    name: HOSTILE_TABLE,
    columns: HOSTILE_NAMES.map(
      (name, n) => [name, n === 0 ? 'u64' : n % 3 === 1 ? 'string' : 'i32', n % 2 === 1] as const,
    ),
    key: [0],
  },
  {
    folder: 'forty-columns',
    name: 'wide',
    columns: Array.from({ length: 40 }, (_, n) => [`c${n}`, TYPES[n % TYPES.length], n % 4 === 3] as const),
    key: [0],
  },
]

export function layoutOf({ name, columns, key }: GoldenSchema): Layout {
  const specs = columns.map(([column, type, nullable]) => ({ name: column, type, nullable: nullable ?? false }))
  return arrangedLayout(rowSchema(name, specs), key)
}

export const hostileLayout = (): Layout => layoutOf(SCHEMAS[3])

/** Kernels are made when first called: calls each of them, with one row of zeros. */
export function callAll(kernels: CompiledKernels): void {
  const { layout } = kernels
  const one = () => {
    const batch = new Batch(layout, 2)
    batch.length = 1
    batch.weights[0] = 1n
    return batch
  }
  const [a, b] = [one(), one()]
  const out = () => new Batch(layout, 2)
  const sorter = new Sorter()
  sorter.sort(a.keys32, layout.key.words * 2, 1, () => 0)
  kernels.compareRows(a, 0, b, 0)
  kernels.compareGroups(a, 0, b, 0)
  kernels.comparePayload(a, 0, b, 0)
  kernels.copyRow(a, 0, out(), 0)
  kernels.consolidate(a, sorter.permutation, 1, out())
  kernels.merge(a, b, out(), { i: 0, j: 0 }, 2)
  kernels.mergeAll([a, b], out(), new Int32Array(2), new Int32Array(2))
  kernels.absorb(one(), b, new Int32Array(2))
  kernels.seek(a, 0, b, 0)
  kernels.lookup(a, b, new BigInt64Array(1))
  const view = new DataView(new ArrayBuffer(kernels.packedStride))
  kernels.encodePacked(a, 0, 1, view, 0, new Heap())
  kernels.decodePacked(view, 0, 1, new Uint8Array(0), out())
  const list = new SkipList(kernels, 1 << 14)
  list.insert(a)
  // Again: the row is found.
  list.insert(b)
  list.scan(out())
  list.find(a, 0, out())
}

function schemaFiles(files: Map<string, string>): void {
  for (const schema of SCHEMAS) {
    const layout = layoutOf(schema)
    const kernels = kernelsOf(layout)
    callAll(kernels)
    for (const [kernel, text] of kernels.sources) files.set(`${schema.folder}/${kernel}.js`, text)
    files.set(`${schema.folder}/encodeRows.js`, rowEncoder(layout.schema).source)
    const sources = new SourceList()
    rowDecoder({ mode: 'compiled', unit: schema.name, provenance: [] }, flatLayout(layout.schema), sources)
    files.set(`${schema.folder}/decodeRow.js`, [...sources.texts.values()].join(''))
  }
}

const orders = g.table('orders', {
  id: g.u64().primaryKey(),
  customer: g.u32(),
  amount: g.f64(),
  note: g.string().nullable(),
})
const customers = g.table('customers', { id: g.u32().primaryKey(), region: g.string() })

const VIEWS = {
  'filter-map': g.view('filtered', q =>
    q
      .from(orders)
      .filter(o => o.amount > 100 && o.note !== null)
      .map(o => ({ id: o.id, twice: o.amount * 2, shout: o.note })),
  ),
  'join-aggregate': g.view('spend', q =>
    q
      .from(orders)
      .join(
        customers,
        (o, c) => o.customer === c.id,
        (o, c) => ({ region: c.region, amount: o.amount }),
      )
      .groupBy(r => ({ region: r.region }))
      .aggregate({ orders: g.count(), total: g.sum(r => r.amount), mean: g.avg(r => r.amount) }),
  ),
  'min-max': g.view('extremes', q =>
    q
      .from(orders)
      .groupBy(o => ({ customer: o.customer }))
      .aggregate({ least: g.min(o => o.amount), most: g.max(o => o.note) }),
  ),
  distinct: g.view('regions', q =>
    q
      .from(customers)
      .map(c => ({ region: c.region }))
      .distinct(),
  ),
  'left-join': g.view('withCustomer', q =>
    q.from(orders).leftJoin(
      customers,
      (o, c) => o.customer === c.id,
      (o, c) => ({ id: o.id, region: c.region }),
    ),
  ),
}

/** The code of a view that has seen rows come and go: what runs only then has been made. */
function viewSource(definition: (typeof VIEWS)[keyof typeof VIEWS]): string {
  const db = g.open()
  try {
    db.createTable(orders)
    db.createTable(customers)
    const view = db.createView(definition as typeof VIEWS.distinct)
    const order = { id: 1n, customer: 7, amount: 250, note: 'first' }
    db.transact(tx => {
      tx.insert(orders, [order, { ...order, id: 2n, note: null }])
      tx.insert(customers, [{ id: 7, region: 'north' }])
    })
    db.transact(tx => tx.delete(orders, order))
    db.transact(tx => tx.delete(customers, { id: 7, region: 'north' }))
    return view.source()
  } finally {
    db.close()
  }
}

/** All golden files: path under `FOLDER` → text. */
export function goldenFiles(): Map<string, string> {
  const files = new Map<string, string>()
  schemaFiles(files)
  for (const [name, definition] of Object.entries(VIEWS)) files.set(`views/${name}.js`, viewSource(definition))
  return files
}

/** The stored text, or null if there is none. */
export function stored(path: string): string | null {
  try {
    return readFileSync(fileURLToPath(new URL(path, FOLDER)), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
