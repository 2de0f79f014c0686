/** What arguments of aggregates may be. */
import { isBigIntType, isDecimal, isFloat, isNumberType, TYPES, type TypeName } from '../../schema/types.js'
import type { ArgumentRule } from './definition.js'

const SUMMED: readonly TypeName[] = ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'f32', 'f64']
const rule = (text: string, accepts: (type: TypeName) => boolean): ArgumentRule => Object.freeze({ text, accepts })

export const ANY = rule('a value', () => true)
/** Where users have decimals, the builder takes the nearest doubles. */
export const NUMBERS = rule('numbers, bigints or decimals', t => SUMMED.includes(t))
export const SUMMABLE = rule('numbers, bigints, decimals or intervals', t => SUMMED.includes(t) || isDecimal(t))
export const INTERVALS = rule('intervals', t => t === 'interval')
export const INTEGERS = rule('integers', t => SUMMED.includes(t) && !isFloat(t))
export const BOOLEANS = rule('booleans', t => t === 'bool')
export const TEXT = rule('strings', t => t === 'string')

/** Summed exactly as integers; else as doubles. */
export const isInteger = (type: TypeName): boolean => SUMMED.includes(type) && !isFloat(type)

/** What a rule's refusal advises. */
export function hintFor(found: TypeName): string {
  if (isNumberType(found) || isBigIntType(found)) return 'use i64(x) or f64(x) from `fn`'
  return TYPES[found].js === 'string'
    ? 'there is count, min, max, mode, first and stringAgg'
    : 'there is count, min, max, mode and first'
}
