/** Tables and random transactions for the tests of the log. */
import type { Mode } from '../../codegen/build.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { Prng } from '../../src/base/prng.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import type { Lsn, TableId } from '../../src/storage/types.js'
import type { TableLookup, WalGroup, WalPart } from '../../src/storage/wal/groups.js'
import { contents, runOf, schemaOf, textOf, type Weighted } from '../zset/support.js'

export const PLAIN = arrangedLayout(schemaOf('plain', 'id:u64', 'v:i32', 'ok:bool?', 'x:f64?'), [0])
export const TEXTS = arrangedLayout(schemaOf('texts', 'name:string', 'note:string?', 'raw:bytes?', 'n:i64'), [0])
export const PAIR = arrangedLayout(schemaOf('pair', 'a:u64', 'b:u64', 's:string'), [0, 1])
/** Tables 1, 2 and 3. */
export const TABLES: readonly Layout[] = [PLAIN, TEXTS, PAIR]

export function tablesOf(mode: Mode, layouts: readonly Layout[] = TABLES): TableLookup {
  return tableId => (layouts[tableId - 1] === undefined ? null : kernelsOf(layouts[tableId - 1], mode))
}

/** A transaction, as rows by table. */
export interface Model {
  readonly lsn: Lsn
  readonly parts: readonly { readonly tableId: TableId; readonly rows: readonly Weighted[] }[]
}

const WORDS = [
  '',
  'a',
  'zwölf Zeichen',
  'short text',
  'a text that is long enough for the heap',
  'snow ☃ and 𝄞',
  'x'.repeat(70),
]

export function rowOf(layout: Layout, prng: Prng): Weighted['row'] {
  const text = () => prng.pick(WORDS) + prng.below(30)
  switch (layout) {
    case PLAIN:
      return [
        BigInt(prng.below(500)),
        prng.below(3),
        prng.chance(0.3) ? null : prng.chance(0.5),
        prng.chance(0.3) ? null : prng.below(9) / 2,
      ]
    case TEXTS: {
      const raw = Uint8Array.from({ length: prng.below(40) }, () => prng.below(256))
      return [text(), prng.chance(0.3) ? null : text(), prng.chance(0.3) ? null : raw, BigInt(prng.below(3)) - 1n]
    }
    default:
      return [BigInt(prng.below(20)), BigInt(prng.below(10)), text()]
  }
}

export function randomPart(tableId: TableId, prng: Prng, size: number): { part: WalPart; rows: readonly Weighted[] } {
  const layout = TABLES[tableId - 1]
  const rows = Array.from({ length: size }, () => ({ row: rowOf(layout, prng), weight: prng.chance(0.2) ? -2n : 1n }))
  const batch = runOf(layout, rows)
  return { part: { tableId, batch }, rows: contents(batch) }
}

/** A transaction of one to three tables. */
export function randomGroup(lsn: Lsn, prng: Prng, maxRows = 12): { parts: WalPart[]; model: Model } {
  const ids = prng
    .shuffle([1, 2, 3])
    .slice(0, 1 + prng.below(3))
    .sort()
  const made = ids.map(tableId => ({ tableId, ...randomPart(tableId, prng, 1 + prng.below(maxRows)) }))
  return { parts: made.map(m => m.part), model: { lsn, parts: made.map(({ tableId, rows }) => ({ tableId, rows })) } }
}

export function modelOf({ lsn, parts }: WalGroup): Model {
  return { lsn, parts: parts.map(({ tableId, batch }) => ({ tableId, rows: contents(batch) })) }
}

/** A transaction in one line: equal transactions, equal lines. */
export function lineOf({ lsn, parts }: Model): string {
  const rowsOf = (rows: readonly Weighted[]) => rows.map(({ row, weight }) => `${weight}*${textOf(row)}`).join(' ')
  return `${lsn}: ${parts.map(({ tableId, rows }) => `${tableId}[${rowsOf(rows)}]`).join(' ')}`
}

export const lines = (models: readonly Model[]): string[] => models.map(lineOf)

export { Prng }
