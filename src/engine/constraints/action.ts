/**
 * One referential action as a small circuit: keys that are gone ⋈ rows that refer to them, and from the rows that match
 * their retraction and, where they stay, what they become. The join is that of views: the same search, loops of the
 * same kind.
 */
import { writeRow } from '../../../codegen/expr/plain.js'
import { kernelsOf } from '../../../codegen/kernels.js'
import { type CodeContext, joinCode, storeCode } from '../../../codegen/steps.js'
import { allOf } from '../../circuit/conditions.js'
import type { Expr } from '../../circuit/expr.js'
import type { TableDefinition } from '../../circuit/rel.js'
import { call, columnOf, literal } from '../../circuit/substitute.js'
import { arrangedLayout, type ColumnSpec, type Layout } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import { SILENT } from '../errors.js'
import type { PairsStore, ScanStore } from '../operators/feed.js'
import { Pairs, type Probe } from '../operators/join.js'
import { uniqueSchema } from '../plan-aggregate.js'
import type { ForeignKeyRule } from './foreign.js'

/** What becomes of the rows: they go, refer to nothing, or refer to the key that took the place of theirs. */
export type Fate = 'delete' | 'setNull' | 'move'

/** Rows that an action adds to the table: `old` retractions, then as many insertions unless the rows go. */
export interface Outcome {
  readonly rows: Batch
  readonly old: number
}

const pairs = new Pairs()
const PAIRS_LIMIT = 1 << 16

export class Action {
  private readonly keys: Batch
  private readonly probe: Probe
  private readonly match: PairsStore
  private readonly matched: Arranger
  private readonly retract: ScanStore
  private readonly insert: ScanStore | null

  constructor(
    private readonly rule: ForeignKeyRule,
    private readonly table: TableDefinition,
    private readonly flat: Layout,
    /** Where the table's columns lie in the child's arrangement. */
    private readonly columns: readonly number[],
    private readonly foreign: readonly number[],
    fate: Fate,
    context: CodeContext,
  ) {
    const keys = this.keyLayout(fate === 'move')
    const child = rule.child.kernels.layout
    this.keys = new Batch(keys)
    this.probe = joinCode<Probe>(context.mode, keys).probe
    const all = this.matchedRows(keys, fate === 'move')
    const layout = arrangedLayout(
      all.schema,
      all.schema.columns.map(c => c.index),
    )
    const pipeline = { filter: this.confirmed(keys), exprs: all.exprs, schema: all.schema, negate: false }
    this.match = storeCode(context, pipeline, layout).pairs<PairsStore>(keys, child)
    this.matched = new Arranger(kernelsOf(layout, context.mode))
    const scan = (exprs: readonly Expr[], negate: boolean) =>
      storeCode(context, { filter: null, exprs, schema: table.schema, negate }, flat).scan<ScanStore>(layout)
    const plain = table.schema.columns.map(c => columnOf(all.schema, c.index))
    this.retract = scan(plain, true)
    this.insert = fate === 'delete' ? null : scan(this.changed(plain, all.schema.columns.length, fate, layout), false)
  }

  /** The parent's kind of key over the key columns alone, and the new ones after them. */
  private keyLayout(moves: boolean): Layout {
    const { columns, kernels } = this.rule.parent
    const specs: ColumnSpec[] = columns.map(({ name, type, nullable }) => ({ name, type, nullable }))
    const schema = uniqueSchema(this.table.schema.name, moves ? [...specs, ...specs] : specs)
    const { key } = kernels.layout
    const words = key.kind === 'packed' ? key.columns.length : columns.length
    const all = columns.map((_, n) => n)
    return arrangedLayout(
      schema,
      all.slice(0, words),
      all.slice(words).map(index => ({ index, descending: false })),
    )
  }

  /** Key columns that key words say nothing about. */
  private confirmed(keys: Layout): Expr | null {
    const child = this.rule.child
    const rest = child.columns.flatMap((column, n) =>
      keys.key.kind === 'packed' && n >= keys.key.columns.length ? [{ column, n }] : [],
    )
    if (rest.length === 0) return null
    const { schema } = child.kernels.layout
    const same = rest.map(({ column, n }) =>
      call('is', [columnOf(keys.schema, n, 0), columnOf(schema, column.index, 1)], 'bool'),
    )
    return allOf(same)
  }

  private matchedRows(keys: Layout, moves: boolean) {
    const { schema } = this.rule.child.kernels.layout
    const exprs: Expr[] = this.columns.map(c => columnOf(schema, c, 1))
    const specs: ColumnSpec[] = this.table.schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable }))
    if (moves) {
      for (let n = this.foreign.length; n < keys.schema.columns.length; n++) {
        const { name, type, nullable } = keys.schema.columns[n]
        exprs.push(columnOf(keys.schema, n, 0))
        specs.push({ name, type, nullable })
      }
    }
    return { exprs, schema: uniqueSchema(this.table.schema.name, specs) }
  }

  private changed(plain: readonly Expr[], size: number, fate: Fate, { schema }: Layout): Expr[] {
    return plain.map((expr, c) => {
      const n = this.foreign.indexOf(c)
      if (n < 0) return expr
      return fate === 'setNull' ? literal(expr.type, null) : columnOf(schema, size - this.foreign.length + n)
    })
  }

  /** `keys` in the order of the parent's arrangement: old values, and new ones for rows that move. */
  run(keys: readonly (readonly Value[])[], runs: readonly Batch[]): Outcome {
    this.keys.clear()
    this.keys.reserve(keys.length)
    keys.forEach((values, k) => {
      writeRow(this.keys, k, values)
      this.keys.weights[k] = 1n
    })
    this.keys.length = keys.length
    const net = this.matching(runs)
    const rows = new Batch(this.flat, net.length * 2)
    rows.length = this.retract(net, 0, net.length, rows, SILENT)
    if (this.insert !== null) rows.length = this.insert(net, 0, net.length, rows, SILENT)
    return { rows, old: net.length }
  }

  private matching(runs: readonly Batch[]): Batch {
    const { raw } = this.matched
    for (const run of runs) {
      pairs.low = 0
      for (let from = 0; from < this.keys.length; ) {
        from = this.probe(this.keys, from, this.keys.length, run, pairs, PAIRS_LIMIT)
        if (pairs.count === 0) continue
        raw.reserve(pairs.count)
        raw.length = this.match(this.keys, run, pairs.left, pairs.right, 0, pairs.count, raw, SILENT)
      }
      pairs.shrink()
    }
    const net = new Batch(raw.layout, raw.length)
    this.matched.arrange(net)
    raw.clear()
    return net
  }
}
