/**
 * Parts of dates and times. Days and microseconds of the day are numbers; a timestamp is taken apart with 64-bit
 * integers and through memory, so that no bigint reaches the heap.
 */
import type { Expression } from 'estree'
import type { CallExpr, DatePart } from '../../src/circuit/expr.js'
import {
  dayOfDays,
  dayOfWeekOfDays,
  dayOfYearOfDays,
  monthOfDays,
  quarterOfDays,
  yearOfDays,
} from '../../src/circuit/scalar.js'
import { daysOfMicros, MICROS_PER_DAY, microsOfDay } from '../../src/schema/calendar.js'
import { assign, bin, call, exprStmt, ifStmt, lit, logic, member, variable } from '../ast.js'
import { operands } from './compile.js'
import { wideToDouble } from './convert.js'
import { wholeAsLong } from './long.js'
import { not, type Operand, type Scope } from './scope.js'

const OF_DAYS: Partial<Record<DatePart, (days: number) => number>> = {
  year: yearOfDays,
  quarter: quarterOfDays,
  month: monthOfDays,
  day: dayOfDays,
  dayOfWeek: dayOfWeekOfDays,
  dayOfYear: dayOfYearOfDays,
}

/** datePart */
export function datePart(expr: CallExpr, scope: Scope): Operand {
  const [operand] = operands(expr, scope)
  return { type: 'f64', isNull: operand.isNull, value: partOf(expr.detail as DatePart, operand, scope) }
}

function partOf(part: DatePart, operand: Operand, scope: Scope): Expression {
  const ofDays = OF_DAYS[part]
  const isDate = operand.type === 'date'
  if (ofDays !== undefined) {
    const days = isDate ? scope.valueOf(operand) : split(operand, scope).days
    return call(scope.ctx.constant(ofDays, ofDays.name), days)
  }
  if (part === 'epoch') {
    if (isDate) return bin('*', scope.valueOf(operand), lit(86_400))
    return bin('/', number(operand, scope), lit(1e6))
  }
  if (isDate) return lit(0)
  const micros = operand.type === 'time' ? number(operand, scope) : split(operand, scope).micros
  return ofMicros(part, micros)
}

function ofMicros(part: DatePart, micros: Expression): Expression {
  const floor = (unit: number) => call(member('Math', 'floor'), bin('/', micros, lit(unit)))
  if (part === 'hour') return floor(3.6e9)
  if (part === 'minute') return bin('%', floor(6e7), lit(60))
  return bin('/', bin('%', micros, lit(6e7)), lit(1e6))
}

/** A 64-bit value as a double. */
function number(operand: Operand, scope: Scope): Expression {
  return scope.valueOf(wideToDouble(operand.type, operand, scope))
}

/** The date or the time of a timestamp, which this can always be taken of. */
export function castTimestamp(to: 'date' | 'time', operand: Operand, scope: Scope): Operand {
  const { days, micros } = split(operand, scope)
  return { type: to, isNull: operand.isNull, value: to === 'date' ? days : wholeAsLong(micros, scope) }
}

/** Within so many microseconds of 1970 (71 years) quotients of doubles are exact enough: their floor is right. */
const NEAR = 2 ** 51

/** Days since 1970 and microseconds of the day of a timestamp, as numbers. */
function split(operand: Operand, scope: Scope): { days: Expression; micros: Expression } {
  const time = scope.bind(number(operand, scope), 'time')
  const days = scope.ctx.fresh('days')
  const micros = scope.ctx.fresh('micros')
  const perDay = lit(Number(MICROS_PER_DAY))
  scope.emit(variable(days, call(member('Math', 'floor'), bin('/', time, perDay))))
  scope.emit(variable(micros, bin('-', time, bin('*', days, perDay))))
  const far = scope.child()
  const whole = far.valueOf(operand)
  far.emit(exprStmt(assign(days, call(scope.ctx.constant(daysOfMicros, 'daysOfMicros'), whole))))
  far.emit(exprStmt(assign(micros, call(scope.ctx.constant(microsNumber, 'microsOfDay'), whole))))
  const isNear = logic('&&', bin('>', time, lit(-NEAR)), bin('<', time, lit(NEAR)))
  scope.emit(ifStmt(not(isNear), far.body))
  return { days, micros }
}

const microsNumber = (time: bigint): number => Number(microsOfDay(time))
