/**
 * Earlier versions of a table: columns are added without a file being written again. Files that were written before keep
 * the number and the columns that the table had then; what they lack is filled in when they are read, and written when
 * they are compacted.
 */
import { FormatError, quote } from '../../base/errors.js'
import { arrangedLayout, type Layout, rowSchema } from '../../schema/schema.js'
import { type Fill, Widening } from '../../zset/widen.js'
import type { EarlierVersion, Manifest, ShardEntry, TableDescriptor, TableEntry, TableId } from '../types.js'

/** The shards of a table, those of its earlier versions included. */
export function shardsOf({ shards }: Pick<Manifest, 'shards'>, { tableId, descriptor }: TableEntry): ShardEntry[] {
  const earlier = earlierOf(descriptor).map(e => e.tableId)
  return shards.filter(s => s.tableId === tableId || earlier.includes(s.tableId))
}

export const earlierOf = ({ earlier }: TableDescriptor): readonly EarlierVersion[] => earlier ?? []

/** The descriptor without the versions that no shard has. */
export function pruned(descriptor: TableDescriptor, shards: readonly ShardEntry[]): TableDescriptor {
  const { earlier, ...rest } = descriptor
  if (earlier === undefined) return descriptor
  const used = earlier.filter(e => shards.some(s => s.tableId === e.tableId))
  if (used.length === earlier.length) return descriptor
  return used.length > 0 ? { ...rest, earlier: used } : rest
}

/** Of a column, what a descriptor keeps as text. */
export const fillText = (fill: Fill): string | undefined =>
  fill === null ? undefined : Array.from(fill, byte => byte.toString(16).padStart(2, '0')).join('')

function fillOf(text: string | undefined): Fill {
  if (text === undefined) return null
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16))
}

/** How the files of an earlier version lie, and what makes their rows those of the table. */
export function wideningOf({ descriptor }: TableEntry, tableId: TableId, layout: Layout, file: string): Widening {
  const version = earlierOf(descriptor).find(e => e.tableId === tableId)
  const problem = (what: string) => new FormatError(file, null, `table ${quote(descriptor.name)}: ${what}`)
  if (version === undefined) throw problem(`it has no version ${tableId}`)
  const { columns } = layout.schema
  const there = version.columns.map(c => columns[c])
  const place = (index: number): number => version.columns.indexOf(index)
  const key = layout.key.columns.map(place)
  if (there.includes(undefined as never) || key.includes(-1)) throw problem(`version ${tableId} has other columns`)
  const order = layout.order.flatMap(({ column, descending }) =>
    version.columns.includes(column.index) ? [{ index: place(column.index), descending }] : [],
  )
  const from = arrangedLayout(
    rowSchema(
      descriptor.name,
      there.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ),
    key,
    order,
  )
  const fills = descriptor.columns.map(c => fillOf(c.fill))
  for (const { name, index, info } of columns) {
    const fill = fills[index]
    if (fill === null || info.storage === 'german' || fill.length === info.sizeBytes) continue
    throw problem(`column ${quote(name)} is to be filled with ${fill.length} bytes, expected ${info.sizeBytes}`)
  }
  const empty = columns.find(c => !version.columns.includes(c.index) && !c.nullable && fills[c.index] === null)
  if (empty !== undefined) throw problem(`column ${quote(empty.name)} has no value in files of version ${tableId}`)
  return new Widening(from, layout, version.columns, fills)
}
