/**
 * The logs under `fixtures/format`, as they were made. The files there are never made again: they are what a log on
 * somebody's disk looks like.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { kernelsOf } from '../../codegen/kernels.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout, type Layout, rowSchema } from '../../src/schema/schema.js'
import type { TypeName } from '../../src/schema/types.js'
import type { TableId } from '../../src/storage/types.js'
import type { TableLookup } from '../../src/storage/wal/groups.js'
import { listSegments } from '../../src/storage/wal/segment.js'
import { Wal } from '../../src/storage/wal/wal.js'
import { runOf, type Weighted } from '../zset/support.js'

export const FORMAT_FOLDER = new URL('../../fixtures/format/', import.meta.url)

interface TableText {
  readonly name: string
  readonly columns: readonly { readonly name: string; readonly type: TypeName; readonly nullable: boolean }[]
  readonly key: readonly string[]
}

const described = JSON.parse(readFileSync(new URL('wal-tables.json', FORMAT_FOLDER), 'utf8')) as Record<
  string,
  TableText
>

function layoutOf(tableId: TableId): Layout | null {
  const table = described[tableId]
  if (table === undefined) return null
  const key = table.key.map(name => table.columns.findIndex(c => c.name === name))
  return arrangedLayout(rowSchema(table.name, table.columns), key)
}

export const fixtureTables: TableLookup = tableId => {
  const layout = layoutOf(tableId)
  return layout === null ? null : kernelsOf(layout)
}

type Cell = Weighted['row'][number]

/** Appends a transaction and makes it durable: a write and a sync of its own. */
function put(wal: Wal, lsn: bigint, rowsByTable: Record<string, [bigint, ...Cell[]][]>): void {
  const parts = Object.entries(rowsByTable).map(([id, rows]) => {
    const weighted = rows.map(([weight, ...row]) => ({ row, weight }))
    return { tableId: Number(id), batch: runOf(layoutOf(Number(id)) as Layout, weighted) }
  })
  wal.append(lsn, parts)
  wal.sync()
}

/** Logs of version 1. They are read, and can no longer be written. */
export const FIRST_VERSION = ['wal-long', 'wal-groups', 'wal-torn']

/** What the clock said before, in milliseconds; a second more for each transaction. */
const START = 1_700_000_000_000

function fixtureEnv(): NodeEnv {
  const env = new NodeEnv()
  let now = START
  env.now = () => {
    now += 1000
    return now
  }
  return env
}

/** How each log was written: `durability` commit, one transaction a write. */
export const FIXTURES: Readonly<Record<string, (wal: Wal) => Promise<void>>> = {
  /** A u64 key and long strings, among them the shortest one that does not fit into its cell; closed properly. */
  'wal2-long': async wal => {
    put(wal, 1n, {
      1: [
        [1n, 1n, 'Ann', null, null],
        [1n, 2n, 'twelve bytes', 'thirteen byte', Uint8Array.of(0, 255)],
        [-1n, 2n, 'twelve bytes', 'thirteen bytes', Uint8Array.from({ length: 20 }, (_, i) => i * 13)],
      ],
    })
    put(wal, 4n, { 1: [[3n, 2n ** 64n - 1n, 'snow ☃ and 𝄞 music', '', null]] })
    await wal.close()
  },
  /** Transactions over several tables; a table that comes later; two segments; closed, and gone on with. */
  'wal2-groups': async wal => {
    put(wal, 1n, { 1: [[1n, 7n, 'Bob', 'likes long notes about nothing', null]], 2: [[1n, 1, 7n, true, 1.5, -2]] })
    put(wal, 2n, {
      2: [
        [-1n, 1, 7n, true, 1.5, -2],
        [2n, 1, 7n, null, Number.NaN, null],
      ],
    })
    put(wal, 3n, {
      2: [[1n, 4_000_000_000, 8n, false, -Infinity, 2 ** 31 - 1]],
      7: [
        [1n, 'a word that is long', 5n],
        [1n, 'word', -5n],
        [-(2n ** 63n), '', 0n],
      ],
    })
    wal.rotate()
    put(wal, 10n, { 7: [[1n, 'word', 6n]] })
    await wal.close()
  },
  /** A crash in the middle of the last write: its end is still zeros. */
  'wal2-torn': async wal => {
    put(wal, 1n, { 2: [[1n, 1, 1n, true, 1, 1]] })
    put(wal, 2n, { 2: [[1n, 2, 2n, true, 2, 2]], 7: [[1n, 'the last transaction that is whole', 2n]] })
    put(wal, 3n, { 2: [[1n, 3, 3n, true, 3, 3]], 7: [[1n, 'the one that was being written', 3n]] })
  },
}

/** Bytes of the last block that the crash left off. */
export const TORN_BYTES = 11

/** Writes a log of `FIXTURES` into a directory, as it was on the disk then. */
export async function writeFixture(name: string, dir: string): Promise<void> {
  const options = { env: fixtureEnv(), dir, tableOf: fixtureTables, afterLsn: 0n, replay: () => {}, aheadBytes: 200 }
  const wal = Wal.open(options)
  await FIXTURES[name](wal)
  const end = wal.end
  if (name !== 'wal2-torn' || end === null) return
  const [path] = listSegments(options.env, dir).map(s => s.path)
  writeFileSync(path, readFileSync(path).fill(0, end.offset - TORN_BYTES))
}
