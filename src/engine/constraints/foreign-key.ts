/** A foreign key with both its tables, and the actions that it needs, made when they are first needed. */
import type { ForeignKeyDefinition, ReferentialAction } from '../../circuit/rel.js'
import { Action, type Fate } from './action.js'
import { hasActions } from './child.js'
import type { ForeignKeyRule } from './foreign.js'
import type { TableRules } from './table-rules.js'
import type { UniqueRule } from './unique.js'

/** What makes up a foreign key. */
interface Ends {
  readonly rule: ForeignKeyRule
  /** What it refers to. */
  readonly unique: UniqueRule
  readonly table: TableRules
  readonly parentTable: TableRules
  /** Where the table's columns lie in the child's arrangement; null if nothing is to be done to its rows. */
  readonly columns: readonly number[] | null
  /** Columns of the table, in the order of the parent's key. */
  readonly foreign: readonly number[]
}

export class ForeignKey {
  readonly hasActions: boolean
  readonly onDelete: Fate | null
  readonly onUpdate: Fate | null
  readonly rule: ForeignKeyRule
  readonly unique: UniqueRule
  readonly table: TableRules
  readonly parentTable: TableRules
  readonly foreign: readonly number[]
  private readonly actions = new Map<Fate, Action>()

  constructor(private readonly ends: Ends) {
    const { rule, unique, table, parentTable, foreign } = ends
    this.rule = rule
    this.unique = unique
    this.table = table
    this.parentTable = parentTable
    this.foreign = foreign
    this.hasActions = hasActions(rule.definition)
    this.onDelete = fateOf(rule.definition.onDelete, 'delete')
    this.onUpdate = fateOf(rule.definition.onUpdate, 'move')
  }

  get definition(): ForeignKeyDefinition {
    return this.rule.definition
  }

  /** Does it matter whether a key was deleted or became another? */
  get minds(): boolean {
    return this.onDelete !== this.onUpdate
  }

  /** Takes it out of the table that it refers to, with what was kept there for it alone. */
  leaveParent(): void {
    const { parentTable, rule, unique } = this
    parentTable.parents = parentTable.parents.filter(k => k !== this)
    if (unique.groups === null) parentTable.groups = parentTable.groups.filter(g => g !== rule.parent)
  }

  action(fate: Fate): Action {
    let action = this.actions.get(fate)
    if (action === undefined) {
      action = new Action(
        this.rule,
        this.table.definition,
        this.table.flat,
        this.ends.columns ?? [],
        this.foreign,
        fate,
        this.table.context,
      )
      this.actions.set(fate, action)
    }
    return action
  }
}

function fateOf(action: ReferentialAction, cascade: Fate): Fate | null {
  if (action === 'restrict') return null
  return action === 'cascade' ? cascade : 'setNull'
}
