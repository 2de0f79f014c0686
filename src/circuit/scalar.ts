/**
 * The functions of values behind the operators of expressions. The interpreter (`eval.ts`) is built on them, and
 * generated code calls them for everything that is not a one-liner, so that both agree by construction.
 *
 * They take canonical, non-null values (NULL is the caller's business) and give canonical values. A row on which a
 * function has no result is reported by throwing a `Failure`; its message names what failed with the values and is
 * the identity of the error in a view, so it must not depend on how the expression was executed.
 */
export {
  addInteger,
  compareScalars,
  divideInteger,
  multiplyInteger,
  negateInteger,
  remainderInteger,
  subtractInteger,
} from './scalar/arithmetic.js'
export { cast, castable } from './scalar/cast.js'
export {
  datePart,
  dayOfDays,
  dayOfWeekOfDays,
  dayOfYearOfDays,
  epochOfMicros,
  hasDatePart,
  hourOfMicros,
  minuteOfMicros,
  monthOfDays,
  quarterOfDays,
  secondOfMicros,
  yearOfDays,
} from './scalar/dates.js'
export {
  alwaysFits,
  asDecimalType,
  commonDecimal,
  computeDecimal,
  convertDecimal,
  type DecimalOp,
  decimalArithmetic,
  decimalResult,
  decimalToNumber,
  holdsAll,
  type Rounding,
  roundedDecimal,
} from './scalar/decimals.js'
export { Failure, fail } from './scalar/failure.js'
export { callMath, isMathFunction, MATH_ARITY } from './scalar/math.js'
export { callFunction, type FunctionName, functionNamed } from './scalar/nested.js'
export {
  type CalendarSpan,
  laterBy,
  negateInterval,
  TRUNC_UNITS,
  type TruncUnit,
  temporalArithmetic,
  temporalResult,
} from './scalar/temporal.js'
export { concat, lengthOf, lower, prefix, slice, upper } from './scalar/text.js'
export { callUdf } from './scalar/udf.js'
export { isZone } from './scalar/zones.js'
