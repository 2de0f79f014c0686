/** The constraints of one table, and what of them is refused in words. */
import { checkCode, GroupCode, type Violating } from '../../../codegen/constraints.js'
import { readRow } from '../../../codegen/expr/plain.js'
import type { CodeContext } from '../../../codegen/steps.js'
import { ConstraintError, quote } from '../../base/errors.js'
import type { CheckDefinition, ConstraintDefinition, TableDefinition } from '../../circuit/rel.js'
import { flatLayout, type Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { Operator } from '../operators/operator.js'
import type { SourceOperator } from '../operators/source.js'
import { consolidated } from '../read.js'
import { CountedRule } from './counted.js'
import {
  checkError,
  groupRows,
  keyObject,
  keyText,
  type NetRow,
  objection,
  rowObject,
  rowText,
  violationOf,
} from './describe.js'
import type { Dangling } from './foreign.js'
import type { ForeignKey } from './foreign-key.js'
import type { KeyGroups, StoredGroups } from './groups.js'
import type { Moved } from './moves.js'
import type { GroupedRule, UniqueRule } from './unique.js'

/** A CHECK: a loop for each layout that rows come in. */
export class CheckRule {
  private readonly loops = new Map<Layout, Violating>()

  constructor(
    readonly definition: CheckDefinition,
    private readonly table: TableDefinition,
    private readonly context: CodeContext,
  ) {}

  /** The first row with a positive weight that is refused, or -1. */
  violating(rows: Batch, from = 0): number {
    let loop = this.loops.get(rows.layout)
    if (loop === undefined) {
      loop = checkCode(this.context, this.definition.condition, this.table.schema, rows.layout).fn
      this.loops.set(rows.layout, loop)
    }
    return loop(rows, from, rows.length)
  }
}

const NO_ROWS: readonly number[] = []

export class TableRules {
  /** Of rows that referential actions make: one object, since loops are compiled for it. */
  readonly flat: Layout
  checks: CheckRule[] = []
  uniques: UniqueRule[] = []
  /** Foreign keys of this table, and those of others that refer to it. */
  children: ForeignKey[] = []
  parents: ForeignKey[] = []
  /** The table's own store, where its primary key is unique. */
  stored: StoredGroups | null = null
  /** Every arrangement that a constraint of this table reads. */
  groups: KeyGroups[] = []

  /** The running transaction has rows for the table. */
  touched = false
  /** What it is offered: flat, or a run of its store. */
  rows: Batch | null = null
  /** The same as the transaction gave it, and where in it a row is followed by what it becomes. */
  given: Batch | null = null
  updates: readonly number[] = NO_ROWS
  /** Puts rows into the log, of a durable table. */
  log: ((rows: Batch) => void) | null = null
  /** What referential actions have changed. */
  moved: Moved[] = []

  constructor(
    readonly definition: TableDefinition,
    readonly operator: SourceOperator,
    readonly context: CodeContext,
    /** Makes flat rows a run of the table's store, where that is what the circuit is to get. */
    private readonly arrange: ((flat: Batch) => Batch) | null,
  ) {
    this.flat = flatLayout(definition.schema)
  }

  /** Its rows go to the circuit as they are, and nowhere else. */
  get isPlain(): boolean {
    const { arrange, groups, checks, uniques, parents } = this
    if (arrange !== null) return false
    return groups.length === 0 && checks.length === 0 && uniques.length === 0 && parents.length === 0
  }

  get definitions(): ConstraintDefinition[] {
    return [...this.checks, ...this.uniques, ...this.children].map(rule => rule.definition)
  }

  /** Operators that its constraints need. */
  get operators(): Operator[] {
    return [
      ...this.groups.flatMap(g => g.operator ?? []),
      ...this.uniques.flatMap(u => (u instanceof CountedRule ? [u.keys] : [])),
    ]
  }

  get name(): string {
    return this.definition.schema.name
  }

  /** Hands the transaction's rows to the circuit. */
  offer(rows: Batch): void {
    this.given = rows
    const run = this.arrange === null ? rows : this.arrange(rows)
    const offered = this.stored === null ? run : this.stored.take(run)
    this.rows = offered
    this.touched = offered.length > 0
    if (offered.length > 0) this.operator.offer(offered)
    else if (this.operator.dirty) {
      // What it was offered before has come to nothing.
      this.operator.dirty = false
      this.operator.abort()
    }
  }

  /** Forgets the running transaction. */
  end(): void {
    this.touched = false
    this.rows = null
    this.given = null
    this.updates = NO_ROWS
    if (this.moved.length > 0) this.moved = []
  }

  /** Forgets what was arranged ahead. */
  forget(): void {
    for (const groups of this.groups) groups.forget()
    for (const rule of this.uniques) rule.forget()
  }

  /** The error of the first CHECK that refuses a row of the transaction's net change, or null. */
  checkRefusal(deferred: boolean): ConstraintError | null {
    const { rows } = this
    if (rows === null) return null
    for (const rule of this.checks) {
      if (rule.definition.deferred && !deferred) continue
      const row = rule.violating(rows)
      if (row < 0) continue
      const net = rows.order === 'consolidated' ? row : this.netViolation(rule, rows)
      if (net >= 0) return checkError(rule.definition, this.definition.schema, rows, net)
    }
    return null
  }

  /** A row that is inserted and deleted in one transaction was never there. */
  private netViolation(rule: CheckRule, rows: Batch): number {
    for (const { batch, row, weight } of consolidated(flatLayout(this.definition.schema), rows, 0, rows.length)) {
      if (weight > 0n && objection(rule.definition.condition, readRow(batch, row)) !== null) return row
    }
    return -1
  }

  /** The running transaction's net change. */
  netRows(): NetRow[] {
    const { rows, flat } = this
    if (rows === null) return []
    if (rows.order !== 'consolidated') return consolidated(flat, rows, 0, rows.length)
    return Array.from({ length: rows.length }, (_, row) => ({ batch: rows, row, weight: rows.weights[row] }))
  }

  uniqueRefusal(rule: GroupedRule, delta: Batch, at: number): ConstraintError {
    const rows = this.groupAt(rule, delta, at, rule.groups.before())
    return uniqueError(rule.definition, this.definition.schema, rows, this.groupAt(rule, delta, at))
  }

  /** The net rows of a batch, and of runs, that are in the group of row `at` of the batch. */
  groupAt({ groups }: GroupedRule, batch: Batch, at: number, runs: readonly Batch[] = []): NetRow[] {
    const shape = groups.shape(false)
    const agree = new GroupCode(this.context, shape).agree(shape)
    return groupRows(groups.kernels, agree, batch, at, [...runs, batch])
  }

  orphanRefusal({ definition, rule, parentTable, foreign }: ForeignKey, { batch, row }: Dangling): ConstraintError {
    const { schema } = this.definition
    const names = rule.parent.columns.map(c => c.name)
    const own = foreign.map(c => schema.columns[c])
    const key = keyObject(batch, row, rule.child.columns, names)
    const wanted = keyText(key)
    const found = this.netRows().find(r => r.weight > 0n && keyText(keyObject(r.batch, r.row, own, names)) === wanted)
    const object =
      found === undefined
        ? keyObject(
            batch,
            row,
            rule.child.columns,
            own.map(c => c.name),
          )
        : rowObject(found.batch, found.row, schema)
    const problem = `row ${rowText(object)} refers to ${quote(parentTable.name)} (${wanted}), which is not there`
    const parent = { table: parentTable.name, key }
    return new ConstraintError(violationOf(definition, schema, object, { parent }), problem)
  }

  /** For a foreign key of another table to this one. */
  abandonedRefusal({ definition, rule, table }: ForeignKey, { batch, row }: Dangling): ConstraintError {
    const names = rule.parent.columns.map(c => c.name)
    const key = keyObject(batch, row, rule.parent.columns, names)
    const object = rowObject(batch, row, this.definition.schema)
    const problem = `row ${rowText(object)} of ${quote(this.name)} goes, but rows refer to it (${keyText(key)})`
    const violation = violationOf(definition, table.definition.schema, object, { parent: { table: this.name, key } })
    return new ConstraintError(violation, problem)
  }
}

/** `rows` are those of a group after the transaction, `changed` those that it changes. */
export function uniqueError(
  definition: UniqueRule['definition'],
  schema: TableDefinition['schema'],
  rows: readonly NetRow[],
  changed: readonly NetRow[],
): ConstraintError {
  const object = (r: NetRow) => rowObject(r.batch, r.row, schema)
  const text = (r: NetRow) => rowText(object(r))
  const negative = rows.find(r => r.weight < 0n)
  if (negative !== undefined) {
    const problem = `row ${text(negative)} is not there, so it cannot be deleted`
    return new ConstraintError(violationOf(definition, schema, object(negative)), problem)
  }
  const twice = rows.find(r => r.weight > 1n)
  if (twice !== undefined) {
    const problem = `row ${text(twice)} would be there ${twice.weight} times`
    return new ConstraintError(violationOf(definition, schema, object(twice)), problem)
  }
  const inserted = new Set(changed.filter(r => r.weight > 0n).map(text))
  const row = rows.find(r => inserted.has(text(r))) ?? rows[0]
  const other = rows.find(r => r !== row) ?? row
  const names = definition.terms.map(t => t.name).join(', ')
  const problem = `row ${text(row)} and row ${text(other)} have the same ${names}`
  return new ConstraintError(violationOf(definition, schema, object(row), { other: object(other) }), problem)
}
