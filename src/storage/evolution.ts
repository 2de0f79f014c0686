/** How a table goes on under another layout object, name, or with more columns, while its files stay as they are. */
import { FormatError, quote } from '../base/errors.js'
import type { Layout } from '../schema/schema.js'
import type { Fill } from '../zset/widen.js'
import { canonical, describe, schemaHash } from './manifest/descriptor.js'
import { earlierOf, fillText } from './manifest/versions.js'
import type { Tree } from './tree.js'
import type { TableDescriptor, TableEntry } from './types.js'

/** Do the rows of a table lie as `layout` says? Names do not matter. */
export function fits({ table }: Tree, layout: Layout): boolean {
  const { policy, weights, valueThreshold } = table.descriptor
  return schemaHash(describe(layout, policy, weights, valueThreshold)) === table.schemaHash
}

/** Describes a table by another layout object and name. Throws FormatError if rows would lie otherwise in files. */
export function retyped(directory: string, table: Tree, layout: Layout, name: string): TableDescriptor {
  const { policy, weights, valueThreshold, earlier, columns: own } = table.table.descriptor
  const fresh = describe(layout, policy, weights, valueThreshold)
  const columns = fresh.columns.map((c, n) => ({ ...c, fill: own[n]?.fill }))
  const descriptor = { ...fresh, name, columns, earlier }
  if (fits(table, layout)) return descriptor
  const [expected, found] = [canonical(descriptor), canonical(table.table.descriptor)]
  throw new FormatError(directory, null, `table ${quote(table.name)}: expected ${expected}, found ${found}`)
}

/** `next`, called `name`, with the rows of `table`: which version of its columns each of its files has. See `Storage.successor`. */
export function widened(
  table: Tree,
  next: Tree,
  name: string,
  columns: readonly number[],
  fills: readonly Fill[],
): TableEntry {
  const { tableId, descriptor } = table.table
  const own = next.table.descriptor
  const versions = [
    ...earlierOf(descriptor).map(e => ({ tableId: e.tableId, columns: e.columns.map(c => columns[c]) })),
    { tableId, columns },
  ]
  const texts = own.columns.map((_, n) => {
    const before = columns.indexOf(n)
    return before >= 0 ? descriptor.columns[before].fill : fillText(fills[n])
  })
  const wide: TableDescriptor = {
    ...own,
    name,
    columns: own.columns.map((c, n) => ({ ...c, fill: texts[n] })),
    earlier: versions,
  }
  return { ...next.table, flushedLsn: table.table.flushedLsn, descriptor: wide }
}
