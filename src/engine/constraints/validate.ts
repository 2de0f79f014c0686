/** Constraints on tables that have rows already: everything is looked at, once, when the constraint is added. */
import { readRow } from '../../../codegen/expr/plain.js'
import { ConstraintError, type Violation } from '../../base/errors.js'
import type { CountedRule } from './counted.js'
import { keyObject, objection, rowObject, rowText, violationOf } from './describe.js'
import type { ForeignKey } from './foreign-key.js'
import type { Scratch } from './scratch.js'
import { type CheckRule, type TableRules, uniqueError } from './table-rules.js'
import type { GroupedRule } from './unique.js'

/** Violations that are listed. */
const LISTED = 5

function refuse(found: readonly Violation[]): void {
  if (found.length === 0) return
  const rows = found.map(v => rowText(v.row as Parameters<typeof rowText>[0])).join(', ')
  const more = found.length === LISTED ? ' …' : ''
  throw new ConstraintError(found[0], `it cannot be added: rows that are there break it: ${rows}${more}`, found)
}

function check(rule: CheckRule, { operator, definition: { schema } }: TableRules): void {
  const found: Violation[] = []
  for (const { batch } of operator.contents(true)) {
    for (let row = rule.violating(batch); row >= 0 && found.length < LISTED; row = rule.violating(batch, row + 1)) {
      if (objection(rule.definition.condition, readRow(batch, row)) !== null) {
        found.push(violationOf(rule.definition, schema, rowObject(batch, row, schema)))
      }
    }
  }
  refuse(found)
}

function counted(rule: CountedRule, { definition: { schema } }: TableRules): void {
  const found: Violation[] = []
  for (const rows of rule.brokenGroups()) {
    if (found.push(uniqueError(rule.definition, schema, rows, rows)) === LISTED) break
  }
  refuse(found)
}

function unique(rule: GroupedRule, table: TableRules, scratch: Scratch): void {
  const { schema } = table.definition
  const all = rule.groups.whole()
  if (all === null) return
  const found = rule.violatedAmong(all, LISTED, scratch).map((at): Violation => {
    const rows = table.groupAt(rule, all, at)
    return uniqueError(rule.definition, schema, rows, rows)
  })
  refuse(found)
}

function foreignKey(key: ForeignKey, scratch: Scratch): void {
  const { rule, table, parentTable, foreign } = key
  const { schema } = table.definition
  const all = rule.child.whole()
  if (all === null) return
  const names = foreign.map(c => schema.columns[c].name)
  const found = rule.orphansAmong(all, rule.parent.whole(), LISTED, scratch).map(row => {
    const parentKey = keyObject(
      all,
      row,
      rule.child.columns,
      rule.parent.columns.map(c => c.name),
    )
    const parent = { table: parentTable.name, key: parentKey }
    return violationOf(rule.definition, schema, keyObject(all, row, rule.child.columns, names), { parent })
  })
  refuse(found)
}

/** Each throws ConstraintError with the first rows that break the rule. */
export const mustHold = { check, unique, counted, foreignKey }
