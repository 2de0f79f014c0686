/**
 * The constraints of a database. A transaction's rows are offered to the circuit, then its referential actions run to a
 * fixed point, and then everything is judged on the net change, before any operator steps: a refusal leaves nothing
 * behind. What is not touched is not looked at, so a check costs by the change.
 */
import { kernelsOf } from '../../../codegen/kernels.js'
import { type ConstraintError, quote, UsageError } from '../../base/errors.js'
import { impliedUnique } from '../../circuit/builder/rules.js'
import { allOf, force } from '../../circuit/conditions.js'
import type {
  CheckDefinition,
  ConstraintDefinition,
  ForeignKeyDefinition,
  IndexDefinition,
  TableDefinition,
  UniqueDefinition,
} from '../../circuit/rel.js'
import { canFail } from '../../circuit/substitute.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import { arrangeRowsOf } from '../arranging.js'
import type { Circuit } from '../circuit.js'
import { rowsOf } from '../indexes/build.js'
import { planGroups } from '../indexes/plan.js'
import type { KeysOperator } from '../operators/keys.js'
import { Cascade } from './cascade.js'
import { childSide } from './child.js'
import { CountedRule, countedKeys } from './counted.js'
import { ForeignKeyRule } from './foreign.js'
import { ForeignKey } from './foreign-key.js'
import { ArrangedGroups, type KeyGroups, StoredGroups } from './groups.js'
import { Scratch } from './scratch.js'
import { CheckRule, type TableRules } from './table-rules.js'
import { GroupedRule, type UniqueRule } from './unique.js'
import { mustHold } from './validate.js'

/** Reservations of unique keys, as the trace shows them. */
export interface Reservation {
  readonly kind: 'unique'
  /** Reserved before the rows are written; kept once they are; released if they are not. */
  readonly operation: 'reserve' | 'keep' | 'release'
  readonly table: string
  readonly constraint: string
  readonly keys: number
}

export class Rules {
  /** Tables of the running transaction that have constraints. */
  readonly active: TableRules[] = []
  private readonly scratch = new Scratch()
  /** What somebody was told is reserved by the running transaction. */
  private readonly reserved: Reservation[] = []
  /** Called with reservations, if somebody listens. */
  listener: ((event: Reservation) => void) | null = null

  constructor(
    private readonly circuit: Circuit,
    /** The table that a definition or a name stands for. Throws UsageError if there is none. */
    private readonly resolve: (parent: TableDefinition | string) => TableRules,
  ) {}

  // ---- definition

  /**
   * Puts a constraint on a table. Throws ConstraintError, listing rows, if those that are there break it; `trusted`: they
   * are known not to.
   */
  addConstraint(rules: TableRules, definition: ConstraintDefinition, trusted = false): void {
    if (rules.definitions.some(d => d.name === definition.name)) {
      throw new UsageError(`table ${quote(rules.name)} has a constraint ${quote(definition.name)} already`)
    }
    const before = new Set(rules.groups)
    try {
      if (definition.kind === 'check') this.addCheck(rules, definition, trusted)
      else if (definition.kind === 'unique') this.addUnique(rules, definition, trusted)
      else this.addForeignKey(rules, definition, trusted)
    } catch (error) {
      rules.groups = rules.groups.filter(g => before.has(g))
      throw error
    }
  }

  /** Puts back what was dropped and not yet forgotten. */
  restore(rules: TableRules, definition: ConstraintDefinition): void {
    if (!rules.definitions.some(d => d.name === definition.name)) this.addConstraint(rules, definition, true)
  }

  private addCheck(rules: TableRules, definition: CheckDefinition, trusted: boolean): void {
    const rule = new CheckRule(definition, rules.definition, rules.context)
    if (!trusted) mustHold.check(rule, rules)
    rules.checks.push(rule)
  }

  private addUnique(rules: TableRules, definition: UniqueDefinition, trusted: boolean): void {
    const keys = this.countedKeys(rules, definition)
    if (keys !== null) {
      const rule = new CountedRule(definition, keys, rules)
      if (!trusted) mustHold.counted(rule, rules)
      rules.uniques.push(rule)
      return
    }
    const stored = definition.isPrimaryKey ? this.storedGroups(rules) : null
    const groups = stored ?? this.arrangedGroups(rules, definition)
    rules.groups.push(groups)
    const rule = new GroupedRule(definition, groups, rules)
    if (!trusted) mustHold.unique(rule, rules, this.scratch)
    if (stored !== null) rules.stored = stored
    rules.uniques.push(rule)
  }

  /** Keys are counted unless the rows are arranged by them anyway, or cannot be found otherwise. */
  private countedKeys({ definition: table }: TableRules, definition: UniqueDefinition): KeysOperator | null {
    if (definition.isPrimaryKey) return null
    const plan = planGroups(rowsOf(table), definition.terms)
    return this.circuit.isArranged(table, plan.rel, plan.key) ? null : countedKeys(this.circuit, table, definition)
  }

  private storedGroups(rules: TableRules): StoredGroups {
    const { definition, operator, context } = rules
    const { store } = operator
    if (store === null) throw new UsageError(`table ${quote(rules.name)} is a stream: it has no keys`)
    const { layout } = store
    const columns = definition.schema.primaryKey.map(c => layout.schema.columns[c])
    const arrange = arrangeRowsOf(definition.schema, layout, context)
    const kernels = kernelsOf(layout, this.circuit.mode)
    return new StoredGroups({ store, operator, arrange }, kernels, columns, rules)
  }

  private arrangedGroups(rules: TableRules, { name, terms }: UniqueDefinition): ArrangedGroups {
    const plan = planGroups(rowsOf(rules.definition), terms)
    const purpose = `constraint ${quote(name)} of table ${quote(rules.name)}`
    const operator = this.circuit.addArrangement(rules.definition, purpose, plan.rel, plan.key, [])
    const { columns } = operator.kernels.layout.schema
    return new ArrangedGroups(
      operator,
      plan.key.map(k => columns[k]),
      rules,
    )
  }

  private addForeignKey(rules: TableRules, definition: ForeignKeyDefinition, trusted: boolean): void {
    const parentTable = this.resolve(definition.parent)
    const acts = definition.onDelete !== 'restrict' || definition.onUpdate !== 'restrict'
    if (acts && (rules.definition.waterlines !== undefined || rules.definition.appendOnly === true)) {
      const why =
        rules.definition.waterlines === undefined ? 'is append-only' : 'has a waterline, behind which rows stay'
      const what = `constraint ${quote(definition.name)}: table ${quote(rules.name)} ${why}`
      throw new UsageError(`${what}: what refers to other rows can only restrict their deletion`)
    }
    const unique = referredKey(rules, parentTable, definition)
    const names = definition.parentColumns ?? primaryNames(parentTable.definition)
    const parent = unique.groups ?? this.arrangedGroups(parentTable, unique.definition)
    const foreign = parent.columns.map(c => definition.columns[names.indexOf(c.name)])
    const own = foreign.map(c => rules.definition.schema.columns[c])
    const side = childSide(this.circuit, rules.definition, definition, own, parent, rules)
    rules.groups.push(side.groups)
    const rule = new ForeignKeyRule(definition, side.groups, parent, rules.context)
    const key = new ForeignKey({ rule, unique, table: rules, parentTable, columns: side.columns, foreign })
    if (!trusted) mustHold.foreignKey(key, this.scratch)
    rules.children.push(key)
    parentTable.parents.push(key)
    if (unique.groups === null) parentTable.groups.push(parent)
  }

  /** Throws UsageError if there is none of this name, or a foreign key needs it, unless that goes as well (`forced`). */
  dropConstraint(rules: TableRules, name: string, forced = false): void {
    const unique = rules.uniques.find(u => u.definition.name === name)
    const needs = rules.parents.find(k => k.unique === unique)
    if (needs !== undefined && !forced) {
      const where = `constraint ${quote(needs.definition.name)} of table ${quote(needs.table.name)}`
      throw new UsageError(`constraint ${quote(name)} of table ${quote(rules.name)} is needed by ${where}`)
    }
    this.constraintOf(rules, name)
    const key = rules.children.find(k => k.definition.name === name)
    const gone: (KeyGroups | null | undefined)[] = [unique?.groups, key?.rule.child]
    rules.checks = rules.checks.filter(c => c.definition.name !== name)
    rules.uniques = rules.uniques.filter(u => u !== unique)
    rules.children = rules.children.filter(k => k !== key)
    key?.leaveParent()
    rules.groups = rules.groups.filter(g => !gone.includes(g))
    if (rules.stored !== null && rules.stored === unique?.groups) rules.stored = null
  }

  // ---- enforcement

  /** Hands a table's rows, which are flat, to the circuit; `updates` lists those that the next row takes the place of. */
  offer(table: TableRules, rows: Batch, updates: readonly number[]): void {
    if (table.isPlain) {
      table.operator.offer(rows)
      return
    }
    rows.texts?.settle(null)
    table.offer(rows)
    table.updates = updates
    this.active.push(table)
  }

  /** Hands what a transaction has come to to the log. */
  log(): void {
    for (const { rows, log } of this.active) if (rows !== null && rows.length > 0) log?.(rows)
  }

  /** The definition of a constraint, or undefined. */
  definitionOf(rules: TableRules, name: string): ConstraintDefinition | undefined {
    return rules.definitions.find(d => d.name === name)
  }

  /** The definition of a constraint. Throws UsageError if there is none of this name. */
  constraintOf(rules: TableRules, name: string): ConstraintDefinition {
    const { definitions } = rules
    const found = definitions.find(d => d.name === name)
    if (found !== undefined) return found
    const list = definitions.map(d => quote(d.name)).join(', ') || 'none'
    throw new UsageError(`table ${quote(rules.name)} has no constraint ${quote(name)}; its constraints: ${list}`)
  }

  /**
   * Runs referential actions and judges the transaction. Throws ConstraintError; the caller then makes the circuit
   * forget what it was offered. `deferred` constraints are left out of a check before the end.
   */
  enforce(deferred: boolean): void {
    const { active } = this
    if (active.length === 0) return
    if (active.some(t => t.parents.length > 0)) this.cascade()
    for (let t = 0; t < active.length; t++) {
      if (!active[t].touched) continue
      refuse(active[t].checkRefusal(deferred))
      this.judgeUnique(active[t], deferred)
    }
    for (let t = 0; t < active.length; t++) if (active[t].touched) this.judgeKeys(active[t], deferred)
    if (this.listener !== null) this.reserve(this.listener)
  }

  private cascade(): void {
    const extra = new Cascade(this.scratch).run(this.active.filter(t => t.touched))
    if (extra === null) return
    for (const [table, rows] of extra) {
      const all = new Batch(table.flat)
      if (table.given !== null) appendRows(table.given, 0, table.given.length, all)
      appendRows(rows, 0, rows.length, all)
      table.forget()
      table.offer(all)
      if (!this.active.includes(table)) this.active.push(table)
    }
  }

  private judgeUnique(table: TableRules, deferred: boolean): void {
    const { uniques } = table
    for (let u = 0; u < uniques.length; u++) {
      const rule = uniques[u]
      if (rule.definition.deferred && !deferred) continue
      refuse(rule.refusal(this.scratch))
    }
  }

  private judgeKeys(table: TableRules, deferred: boolean): void {
    const { children, parents } = table
    for (let k = 0; k < children.length; k++) {
      if (children[k].definition.deferred && !deferred) continue
      const orphan = children[k].rule.orphan(this.scratch)
      if (orphan !== null) throw table.orphanRefusal(children[k], orphan)
    }
    for (let k = 0; k < parents.length; k++) {
      if (parents[k].definition.deferred && !deferred) continue
      const abandoned = parents[k].rule.abandoned(this.scratch)
      if (abandoned !== null) throw table.abandonedRefusal(parents[k], abandoned)
    }
  }

  /** Ends the running transaction, which was committed or given up. */
  end(committed: boolean): void {
    const { active } = this
    if (active.length === 0) return
    if (this.reserved.length > 0) {
      const operation = committed ? 'keep' : 'release'
      for (const one of this.reserved.splice(0)) this.listener?.({ ...one, operation })
    }
    for (let t = 0; t < active.length; t++) {
      if (!committed) active[t].forget()
      active[t].end()
    }
    // Setting the length to 0 would give the memory up.
    while (active.length > 0) active.pop()
  }

  private reserve(listener: (event: Reservation) => void): void {
    for (const table of this.active) {
      for (const { definition, touched } of table.uniques) {
        if (touched === 0) continue
        const what = { table: table.name, constraint: definition.name, keys: touched }
        const one: Reservation = { kind: 'unique', operation: 'reserve', ...what }
        this.reserved.push(one)
        listener(one)
      }
    }
  }
}

/** What an index demands of its table: unique terms, if it says so, and terms that do not fail. */
export function impliedBy({ name, terms, unique, nullsNotDistinct }: IndexDefinition): ConstraintDefinition[] {
  const implied: ConstraintDefinition[] = []
  const failing = terms.filter(t => canFail(t.expr)).map(t => force(t.expr))
  if (failing.length > 0) {
    implied.push(Object.freeze({ kind: 'check', name: `terms of ${name}`, deferred: false, condition: allOf(failing) }))
  }
  if (unique) implied.push(impliedUnique(name, terms, false, nullsNotDistinct))
  return implied
}

/** Throws UsageError if another table refers to this one. */
export function mustBeUnreferred(rules: TableRules): void {
  const key = rules.parents.find(k => k.table !== rules)
  if (key === undefined) return
  const where = `constraint ${quote(key.definition.name)} of table ${quote(key.table.name)}`
  throw new UsageError(`table ${quote(rules.name)} is referred to by ${where}; drop that first`)
}

function refuse(error: ConstraintError | null): void {
  if (error !== null) throw error
}

const primaryNames = ({ schema }: TableDefinition): string[] => schema.primaryKey.map(c => schema.columns[c].name)

/** The UNIQUE constraint that the columns of a foreign key refer to. */
function referredKey(rules: TableRules, parent: TableRules, definition: ForeignKeyDefinition): UniqueRule {
  const names = definition.parentColumns ?? primaryNames(parent.definition)
  const what = `constraint ${quote(definition.name)} of table ${quote(rules.name)}`
  if (names.length !== definition.columns.length) {
    throw new UsageError(
      `${what}: ${definition.columns.length} columns refer to ${names.length} of ${quote(parent.name)}`,
    )
  }
  const found = parent.uniques.find(({ definition: { terms } }) => {
    const plain = terms.every(t => t.expr.kind === 'column')
    return plain && terms.length === names.length && terms.every(t => names.includes(t.name))
  })
  const columns = names.map(quote).join(', ')
  if (found === undefined) {
    throw new UsageError(
      `${what}: expected a UNIQUE constraint on ${columns || 'a primary key'} of ${quote(parent.name)}`,
    )
  }
  if (found.definition.deferred) {
    throw new UsageError(`${what}: constraint ${quote(found.definition.name)} of ${quote(parent.name)} is deferred`)
  }
  return found
}
