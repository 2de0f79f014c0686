/** Columns are added to a table whose rows lie in shards: the files stay, and the rows have the new columns. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeRow } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { Prng } from '../../src/base/prng.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout, flatLayout, type Layout } from '../../src/schema/schema.js'
import { staticKeys } from '../../src/storage/crypt/keys.js'
import { loadStorage } from '../../src/storage/open.js'
import { Storage } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { Batch } from '../../src/zset/batch.js'
import { type Fill, fillAt } from '../../src/zset/widen.js'
import { contents, runOf, schemaOf, sumOf, type Weighted } from '../zset/support.js'
import { IOS } from './shard-support.js'

beforeAll(loadStorage)
const root = mkdtempSync(join(tmpdir(), 'gnitz-versions-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

type Row = Weighted['row']
type Value = Row[number]

const LONG = 'a default that is too long for a cell'
/** A version: its layout, where the columns of the one before are, and what those hold that were not there. */
interface Version {
  readonly layout: (key: readonly number[]) => Layout
  readonly columns: readonly number[]
  readonly added: ReadonlyMap<number, Value>
}
const layoutOf =
  (...columns: string[]) =>
  (key: readonly number[]) =>
    arrangedLayout(schemaOf('t', ...columns), key)
const VERSIONS: readonly Version[] = [
  { layout: layoutOf('id:u64', 'a:i32?', 's:string?', 'v:i64'), columns: [], added: new Map() },
  {
    layout: layoutOf('id:u64', 'a:i32?', 's:string?', 'v:i64', 'note:string?', 'big:u128', 'f:f64?'),
    columns: [0, 1, 2, 3],
    added: new Map<number, Value>([
      [4, null],
      [5, 1n << 100n],
      [6, 0.5],
    ]),
  },
  {
    layout: layoutOf(
      'id:u64',
      'x:string',
      'a:i32?',
      'y:i16?',
      's:string?',
      'v:i64',
      'note:string?',
      'big:u128',
      'f:f64?',
    ),
    columns: [0, 2, 4, 5, 6, 7, 8],
    added: new Map<number, Value>([
      [1, LONG],
      [3, null],
    ]),
  },
]

function fillsOf({ schema }: Layout, added: ReadonlyMap<number, Value>): Fill[] {
  const flat = new Batch(flatLayout(schema), 1)
  const row = schema.columns.map(c => added.get(c.index) ?? (c.nullable ? null : undefined))
  writeRow(flat, 0, row as never)
  return schema.columns.map(c => ((added.get(c.index) ?? null) === null ? null : fillAt(flat, c, 0)))
}

function widened(row: Row, { columns, added }: Version): Row {
  const out: Value[] = []
  for (const [at, value] of added) out[at] = value
  for (const [from, to] of columns.entries()) out[to] = row[from]
  return out
}

function randomRow(prng: Prng, version: number, id: bigint): Row {
  const text = () => ['', 'short', 'rather a long text, for the heap'][prng.below(3)] + prng.below(4)
  let row: Row = [id, prng.chance(0.3) ? null : prng.below(5), prng.chance(0.3) ? null : text(), BigInt(prng.below(9))]
  for (const v of VERSIONS.slice(1, version + 1)) {
    row = widened(row, {
      ...v,
      added: new Map([...v.added].map(([k, d]) => [k, prng.chance(0.5) ? d : other(d, prng)])),
    })
  }
  return row
}

function other(value: Value, prng: Prng): Value {
  if (typeof value === 'bigint') return BigInt(prng.below(9))
  if (typeof value === 'string') return `other ${prng.below(4)}`
  return value
}

function readAll(tree: Tree): Map<string, bigint> {
  const cursor = tree.cursor()
  const rows: Weighted[] = []
  try {
    for (let batch = cursor.next(); batch !== null; batch = cursor.next()) rows.push(...contents(batch))
  } finally {
    cursor.close()
  }
  return sumOf(rows)
}

const cases = IOS.flatMap(io => [[0], [2]].flatMap(key => [false, true].map(sealed => ({ io, key, sealed }))))

test.each(cases)('columns are added to shards: %o', async ({ io, key, sealed }) => {
  const prng = new Prng(key[0] * 10 + (sealed ? 1 : 0))
  const directory = join(root, `${io}-${key[0]}-${sealed}`)
  const options = {
    env: new NodeEnv(),
    directory,
    kernelsOf: (layout: Layout) => kernelsOf(layout, 'generic'),
    durability: 'none' as const,
    io,
    valueThreshold: 64,
    windowRows: 16,
    ...(sealed ? { encryption: staticKeys({ id: 1, key: new Uint8Array(32).fill(7) }) } : {}),
  }
  let storage = await Storage.open(options)
  let places = key
  let tree = storage.createTable(VERSIONS[0].layout(places))
  let rows: Weighted[] = []
  const commit = (version: number): void => {
    const fresh = Array.from(
      { length: 60 },
      (): Weighted => ({ row: randomRow(prng, version, BigInt(prng.below(99))), weight: 1n }),
    )
    const gone = rows.filter(() => prng.chance(0.1)).map(({ row }) => ({ row, weight: -1n }))
    storage.commit([{ table: tree, delta: runOf(tree.layout, [...fresh, ...gone]) }])
    rows = [...rows, ...fresh, ...gone]
    tree.seal()
    tree.flush()
  }
  commit(0)
  storage.checkpoint()
  commit(0)
  for (const [v, version] of VERSIONS.entries()) {
    if (v === 0) continue
    places = places.map(k => version.columns[k])
    const layout = version.layout(places)
    const next = storage.createTable({ ...layout, schema: { ...layout.schema, name: 'next' } })
    const wide = storage.successor(tree, next, layout, version.columns, fillsOf(layout, version.added))
    storage.succeed(wide, tree, next)
    tree = wide
    rows = rows.map(({ row, weight }) => ({ row: widened(row, version), weight }))
    const net = sumOf(rows)
    expect(readAll(tree)).toEqual(net)
    commit(v)
    expect(readAll(tree)).toEqual(sumOf(rows))
  }
  storage.checkpoint()
  await storage.close()
  expect((await verifyDirectory(options)).faults).toEqual([])
  storage = await Storage.open(options)
  tree = storage.table('t') as Tree
  expect(tree.table.descriptor.earlier?.length).toBeGreaterThan(0)
  const [{ row }] = rows
  const probe = runOf(tree.layout, [{ row, weight: 1n }])
  const found = new Batch(tree.layout)
  tree.get(probe, 0, found)
  const wanted = new Map(
    [...sumOf(rows)].filter(([text]) => [...sumOf(contents(found))].some(([other]) => other === text)),
  )
  expect(sumOf(contents(found))).toEqual(wanted)
  const latest = VERSIONS.length - 1
  commit(latest)
  commit(latest)
  storage.compact()
  expect(readAll(tree)).toEqual(sumOf(rows))
  storage.checkpoint()
  await storage.close()
  storage = await Storage.open({ ...options, readOnly: true })
  tree = storage.table('t') as Tree
  expect(tree.table.descriptor.earlier).toBeUndefined()
  expect(readAll(tree)).toEqual(sumOf(rows))
  await storage.close()
})
