/** A foreign key with both its tables, and the actions that it needs, made when they are first needed. */
import type { CodeContext } from '../../../codegen/steps.js'
import type { ForeignKeyDefinition, ReferentialAction } from '../../circuit/rel.js'
import { Action, type Fate } from './action.js'
import { hasActions } from './child.js'
import type { ForeignKeyRule } from './foreign.js'
import type { TableRules } from './table-rules.js'

export class ForeignKey {
  readonly hasActions: boolean
  readonly onDelete: Fate | null
  readonly onUpdate: Fate | null
  private readonly actions = new Map<Fate, Action>()

  constructor(
    readonly rule: ForeignKeyRule,
    readonly table: TableRules,
    readonly parentTable: TableRules,
    /** Where the table's columns lie in the child's arrangement; null if nothing is to be done to its rows. */
    private readonly columns: readonly number[] | null,
    /** Columns of the table, in the order of the parent's key. */
    readonly foreign: readonly number[],
    private readonly context: CodeContext,
  ) {
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

  action(fate: Fate): Action {
    let action = this.actions.get(fate)
    if (action === undefined) {
      action = new Action(
        this.rule,
        this.table.definition,
        this.table.flat,
        this.columns ?? [],
        this.foreign,
        fate,
        this.context,
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
