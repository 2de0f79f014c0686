/** Calls of user functions: whatever goes wrong in them is the failure of a row. */

import { quote } from '../../base/errors.js'
import type { TypeName, Value } from '../../schema/types.js'
import { describe, normalise, Problem, present } from '../../schema/values.js'
import type { Udf } from '../expr.js'
import { Failure, fail } from './failure.js'

/** Longest text of a user's exception that is kept in a message, in UTF-16 units. */
const MAX_REASON = 200

/**
 * Calls `udf` on values as users see them (NULL is null) and checks its result against `type`; null and undefined are NULL.
 * Fails if the function throws, returns a value that does not fit, or NULL where `nullable` is false.
 */
export function callUdf(
  udf: Udf,
  type: TypeName,
  nullable: boolean,
  args: readonly Value[],
  types: readonly TypeName[],
): Value {
  let result: unknown
  try {
    result = (udf.fn as (...args: readonly unknown[]) => unknown)(...args.map((a, i) => present(types[i], a)))
  } catch (thrown) {
    return fail(`function ${quote(udf.name)} failed: ${reason(thrown)}`)
  }
  if (result === null || result === undefined) {
    return nullable ? null : fail(`function ${quote(udf.name)} returned NULL, expected ${describe(type)}`)
  }
  const value = normalise(type, result)
  return value instanceof Problem ? fail(`function ${quote(udf.name)}: ${value.message}`) : value
}

function reason(thrown: unknown): string {
  try {
    const text = thrown instanceof Error || thrown instanceof Failure ? thrown.message : String(thrown)
    return text.slice(0, MAX_REASON)
  } catch {
    return 'something that has no text was thrown'
  }
}
