/** The code of windows: walks through a partition, rows out of an arrangement, peers. */
import { allColumns, columnOf, literal, zeroOf } from '../src/circuit/substitute.js'
import {
  arrangedLayout,
  flatLayout,
  type Layout,
  layoutFingerprint,
  type RowSchema,
  rowSchema,
  type SortColumn,
} from '../src/schema/schema.js'
import type { Batch } from '../src/zset/batch.js'
import type { Kernels } from '../src/zset/kernels.js'
import { compareGerman } from '../src/zset/strings.js'
import { $compareColumns } from '../templates/compare.js'
import { projectRow } from '../templates/project.js'
import { gatherRows, placeCursor, samePeers } from '../templates/window.js'
import type { ProjectRow } from './decode.js'
import { type CompiledKernels, kernelsOf } from './kernels.js'
import { rowProgram } from './rows.js'
import { external } from './specialise/types.js'
import { type CodeContext, make, SourceList } from './steps.js'
import { walkStatics } from './walk.js'

export interface WindowShape {
  /** Of the input, arranged by partition and order. */
  readonly kernels: CompiledKernels
  /** Of the rows that come out: the input's columns, then the functions'. */
  readonly schema: RowSchema
  /** Columns of the partition, and of the order. */
  readonly partition: readonly number[]
  readonly order: readonly { readonly index: number; readonly descending: boolean }[]
}

/** A cursor walk in one direction; `Out` takes what `append` is called with. */
export interface WindowWalkCode<Walk> {
  readonly place: (walk: Walk, run: Batch, row: number, delta: Batch, p: number) => void
  readonly gather: <Out extends RowSink>(walk: Walk, delta: Batch, p: number, limit: number, out: Out) => number
}

export interface RowSink {
  append(run: Batch, row: number, before: number, after: number): void
}

export interface WindowCode<Walk> {
  readonly forward: WindowWalkCode<Walk>
  readonly backward: WindowWalkCode<Walk>
  /** A row of the arrangement as a row that comes out, its functions empty. */
  readonly project: ProjectRow
  /** Are rows that come out peers? */
  readonly peers: (a: Batch, i: number, b: Batch, j: number) => boolean
  /** Of the rows that come out. */
  readonly rows: Kernels
  /** Groups of peers, arranged by partition and order; null without an order. */
  readonly groups: { readonly kernels: Kernels; readonly project: ProjectRow } | null
  readonly sources: ReadonlyMap<string, string>
}

export function windowCode<Walk>(context: CodeContext, shape: WindowShape): WindowCode<Walk> {
  const { kernels, schema } = shape
  const { layout } = kernels
  const sources = new SourceList()
  const flat = flatLayout(schema)
  const append = (out: RowSink, run: Batch, row: number, before: number, after: number): void =>
    out.append(run, row, before, after)
  const direction = (name: string, backwards: boolean): WindowWalkCode<Walk> => {
    const key = [layoutFingerprint(layout)]
    const statics = () => ({ $w: { ...walkStatics(kernels, backwards), append: external(append) } })
    return {
      place: make(context, sources, `place${name}`, placeCursor, key, statics),
      gather: make(context, sources, `gather${name}`, gatherRows, key, statics),
    }
  }
  const order = shape.order.map(({ index, descending }): SortColumn => ({ column: schema.columns[index], descending }))
  const orderKey = [layoutFingerprint(flat), shape.order.map(o => o.index)]
  return {
    forward: direction('Forward', false),
    backward: direction('Backward', true),
    project: projector(context, sources, 'windowRow', layout, flat, [
      ...allColumns(layout.schema),
      ...schema.columns
        .slice(layout.schema.columns.length)
        .map(c => (c.nullable ? literal(c.type, null) : zeroOf(c.type))),
    ]),
    peers: make(context, sources, 'samePeers', samePeers, orderKey, () => ({
      $layout: flat,
      $order: order,
      $compareColumns,
      $compareStrings: external(compareGerman),
    })),
    rows: kernelsOf(flat, context.mode),
    groups: order.length === 0 ? null : groupsOf(context, sources, shape, flat),
    sources: sources.texts,
  }
}

function groupsOf(context: CodeContext, sources: SourceList, shape: WindowShape, flat: Layout) {
  const { schema, partition, order } = shape
  const indexes = [...partition, ...order.map(o => o.index)]
  const columns = indexes.map((index, i) => ({ ...schema.columns[index], name: `${i} ${schema.columns[index].name}` }))
  const layout = arrangedLayout(
    rowSchema(schema.name, columns),
    partition.map((_, i) => i),
    order.map(({ descending }, i) => ({ index: partition.length + i, descending })),
  )
  const outputs = indexes.map(index => columnOf(schema, index))
  return {
    kernels: kernelsOf(layout, context.mode),
    project: projector(context, sources, 'peerGroup', flat, layout, outputs),
  }
}

function projector(
  context: CodeContext,
  sources: SourceList,
  name: string,
  from: Layout,
  to: Layout,
  outputs: Parameters<typeof rowProgram>[0]['outputs'],
): ProjectRow {
  const key = [layoutFingerprint(from), layoutFingerprint(to), outputs.map(o => (o.kind === 'column' ? o.index : -1))]
  return make<ProjectRow>(context, sources, name, projectRow, key, () => {
    const inputs = [{ layout: from, name: 'input' }]
    const $row = rowProgram({ inputs, filter: null, outputs, schema: to.schema })
    return { $row, $store: $row.storeInto(to) }
  })
}
