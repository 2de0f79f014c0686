/** Options as programs give them: an object of which every member is known, since one that is ignored was meant to do something. */
import { quote, show, UsageError } from './errors.js'

/** What is wrong with options that may only have members of these names; null if nothing is. */
export function optionsProblem(given: unknown, known: readonly string[]): string | null {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return `expected options, found ${show(given)}`
  }
  const strange = Object.keys(given).find(name => !known.includes(name))
  return strange === undefined ? null : `unknown option ${quote(strange)}; the options are ${known.join(', ')}`
}

/** Throws UsageError unless these are options of known names. */
export function mustBeOptions(call: string, given: unknown, known: readonly string[]): void {
  const problem = optionsProblem(given, known)
  if (problem !== null) throw new UsageError(`${call}: ${problem}`)
}
