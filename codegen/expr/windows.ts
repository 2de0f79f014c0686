/** Code for the functions of time windows (`src/circuit/scalar/time-windows.ts`). They never fail: they saturate. */
import type { Expression } from 'estree'
import type { CallExpr } from '../../src/circuit/expr.js'
import { isNumberType, TYPES } from '../../src/schema/types.js'
import { asInt } from '../access.js'
import { bin, call, ifStmt, lit, member } from '../ast.js'
import { anyNull, operands } from './compile.js'
import type { Operand, Scope } from './scope.js'

/** Null for all but `windowStart`, `addSaturated` and `subSaturated` on whole numbers of one type of up to 64 bits. */
export function windowFunction(expr: CallExpr, scope: Scope): Operand | null {
  const { type, detail, args } = expr
  const { storage, min } = TYPES[type]
  if (min === null || storage === 'w128' || type === 'time' || !args.every(a => a.type === type)) return null
  if (!args.slice(1).every(a => a.kind === 'literal' && a.value !== null && (a.value as number) >= 0)) return null
  switch (detail) {
    case 'windowStart':
      return windowStart(expr, scope)
    case 'addSaturated':
    case 'subSaturated':
      return moved(expr, operands(expr, scope), scope)
    default:
      return null
  }
}

function windowStart(expr: CallExpr, scope: Scope): Operand {
  const [at, size, offset] = operands(expr, scope)
  const isNumber = isNumberType(expr.type)
  const two = isNumber ? 2 * (size.literal as number) : 2n * (size.literal as bigint)
  const a = scope.bind(scope.valueOf(at), 'at')
  const [s, o] = [scope.valueOf(size), scope.valueOf(offset)]
  const positive = bin('+', bin('-', bin('%', a, s), o), lit(two))
  const within = bin('%', positive, s)
  const by: Operand = { type: expr.type, isNull: null, value: isNumber ? within : asInt(within, isSigned(expr)) }
  return moved({ ...expr, detail: 'subSaturated' }, [{ ...at, value: a }, by], scope)
}

const isSigned = ({ type }: CallExpr): boolean => TYPES[type].storage.startsWith('i')

/** A sum or difference. REQUIRES: the second operand is not negative, so an overflow shows in the order. */
function moved({ type, detail }: CallExpr, args: readonly Operand[], scope: Scope): Operand {
  const isNull = anyNull(args)
  const up = detail === 'addSaturated'
  const { min, max } = TYPES[type] as { min: bigint; max: bigint }
  const [a, b] = args.map(arg => scope.bind(scope.valueOf(arg), 'operand'))
  const raw = bin(up ? '+' : '-', a, b)
  if (isNumberType(type)) {
    const value = call(member('Math', up ? 'min' : 'max'), raw, lit(Number(up ? max : min)))
    return { type, isNull, value }
  }
  const signed = TYPES[type].storage === 'i64'
  const value = scope.bind(asInt(raw, signed), 'moved')
  const join = scope.join(type, false, 'saturated')
  const [out, fits] = [scope.child(), scope.child()]
  join.set(out, { type, isNull: null, value: end(up ? max : min, scope) })
  join.set(fits, { type, isNull: null, value })
  scope.emit(ifStmt(bin(up ? '<' : '>', value, a), out.body, fits.body))
  return { ...join.operand, isNull }
}

const end = (value: bigint, scope: Scope): Expression => (value < 0n ? scope.negative(value) : lit(value))
