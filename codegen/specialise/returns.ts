/** Turns the returns of an inlined body into jumps out of a labelled block. */
import type { Identifier, Statement } from 'estree'
import { assign, block, breakStmt, exprStmt, labeled, lit } from '../ast.js'
import { isPure } from './fold.js'

/** `label: { body }` in which `return x` stores x in `result` (if there is one) and leaves the block. */
export function removeReturns(body: readonly Statement[], label: string, result: Identifier | null): Statement {
  const convert = (statement: Statement): Statement[] => {
    switch (statement.type) {
      case 'ReturnStatement': {
        const value = statement.argument ?? lit(undefined)
        const store = result !== null ? [exprStmt(assign(result, value))] : isPure(value) ? [] : [exprStmt(value)]
        return [...store, breakStmt(label)]
      }
      case 'BlockStatement':
        return [block(statement.body.flatMap(convert))]
      case 'IfStatement': {
        const alternate = statement.alternate ? one(statement.alternate) : null
        return [{ ...statement, consequent: one(statement.consequent), alternate }]
      }
      case 'LabeledStatement':
      case 'ForStatement':
      case 'ForOfStatement':
      case 'WhileStatement':
      case 'DoWhileStatement':
        return [{ ...statement, body: one(statement.body) }]
      case 'SwitchStatement': {
        const cases = statement.cases.map(c => ({ ...c, consequent: c.consequent.flatMap(convert) }))
        return [{ ...statement, cases }]
      }
      default:
        return [statement]
    }
  }
  const one = (statement: Statement): Statement => {
    const converted = convert(statement)
    return converted.length === 1 && converted[0] !== undefined ? converted[0] : block(converted)
  }
  return labeled(label, block(body.flatMap(convert)))
}
