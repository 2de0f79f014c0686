/** Rows from one layout into another: flat ones into raw rows of an arranged layout is what stores do before they sort. */
import { type CodeContext, storeCode } from '../../codegen/steps.js'
import { allColumns } from '../circuit/substitute.js'
import type { Layout, RowSchema } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import type { ArrangeRows } from '../zset/store.js'
import { SILENT } from './errors.js'
import type { ScanStore } from './operators/feed.js'

/** The function that does it; compiled when the first rows come. REQUIRES: they are all of one layout. */
export function arrangeRowsOf(schema: RowSchema, layout: Layout, context: CodeContext): ArrangeRows {
  let scan: ScanStore | null = null
  return (input: Batch, from: number, to: number, raw: Batch) => {
    scan ??= scanOf(schema, layout, context, input.layout)
    raw.length = scan(input, from, to, raw, SILENT)
  }
}

function scanOf(schema: RowSchema, layout: Layout, context: CodeContext, input: Layout): ScanStore {
  const pipeline = { filter: null, exprs: allColumns(schema), schema, negate: false }
  return storeCode(context, pipeline, layout).scan<ScanStore>(input)
}
