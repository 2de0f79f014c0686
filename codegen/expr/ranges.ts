/** Code for the functions of joins by range (`src/circuit/band.ts`): the level of an interval, and the hash of keys. */
import type { CallExpr } from '../../src/circuit/expr.js'
import { TYPES } from '../../src/schema/types.js'
import { bin, call, lit } from '../ast.js'
import { anyNull, operands } from './compile.js'
import { hashOf, keyImage } from './lanes.js'
import type { Operand, Scope } from './scope.js'

/** Null for other functions, and for levels of numbers of other widths. */
export function rangeFunction(expr: CallExpr, scope: Scope): Operand | null {
  const { type, detail, args } = expr
  if (detail === 'rangeHash') {
    const [hash] = hashOf(operands(expr, scope), scope)
    return { type, isNull: null, value: hash }
  }
  if (detail !== 'rangeLevel' || !args.every(a => ['i64', 'u64', 'f64'].includes(TYPES[a.type].storage))) return null
  const given = operands(expr, scope)
  const images = given.flatMap((operand, n) =>
    keyImage(operand, TYPES[operand.type].storage, scope, n === 0 ? 'lo' : 'hi').map(word =>
      scope.bind(bin('>>>', word, lit(0)), 'image'),
    ),
  )
  return { type, isNull: anyNull(given), value: call(scope.ctx.constant(levelOf, 'levelOf'), ...images) }
}

/** The number of bits of hi - lo, of 64-bit images in two words each; 0 if that is not positive. */
function levelOf(lowLo: number, lowHi: number, highLo: number, highHi: number): number {
  const low = highLo - lowLo
  const high = highHi - lowHi - (low < 0 ? 1 : 0)
  if (high < 0) return 0
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(low)
}
