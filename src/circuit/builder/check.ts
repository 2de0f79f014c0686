/** Checks of what programs give to the builder. All of them throw CompileError, which names the operator. */
import { CompileError, show, showWhole } from '../../base/errors.js'
import { optionsProblem } from '../../base/options.js'
import type { Expr } from '../expr.js'
import { typeText } from '../typing.js'

/** Options of these names: one that is ignored was meant to do something. */
export function checkOptions(what: string, given: unknown, known: readonly string[]): void {
  const problem = optionsProblem(given, known)
  if (problem !== null) throw new CompileError(`${what}: ${problem}`)
}

/** An option that is true or false, false unless given. */
export function flagOf(what: string, name: string, given: unknown = false): boolean {
  if (typeof given === 'boolean') return given
  throw new CompileError(`${what}: expected ${name}: true or false, found ${show(given)}`)
}

/** An object with a member for each of the columns that an operator makes. */
export function mustBeObject(what: string, given: unknown, example: string): asserts given is object {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return
  throw new CompileError(`${what}: expected ${example}, found ${showWhole(given)}`)
}

/** The type of a value for messages, and its column if it is one. */
export const foundText = (e: Expr): string => {
  return e.kind === 'column' ? `${typeText(e)} (column ${JSON.stringify(e.name)})` : typeText(e)
}
