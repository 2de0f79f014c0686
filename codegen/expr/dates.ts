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
import { MICROS_PER_DAY } from '../../src/schema/calendar.js'
import { asInt } from '../access.js'
import { bin, call, cond, lit, member } from '../ast.js'
import { operands } from './compile.js'
import { wideToDouble } from './convert.js'
import type { Operand, Scope } from './scope.js'

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

/** Days since 1970 and microseconds of the day of a timestamp, as numbers. */
function split(operand: Operand, scope: Scope): { days: Expression; micros: Expression } {
  const time = scope.bind(scope.valueOf(operand), 'time')
  const whole = scope.bind(asInt(bin('/', time, lit(MICROS_PER_DAY)), true), 'whole')
  const rest = bin('-', time, asInt(bin('*', whole, lit(MICROS_PER_DAY)), true))
  const restNumber = number({ type: 'i64', isNull: null, value: asInt(rest, true) }, scope)
  const micros = scope.bind(restNumber, 'micros')
  // Division truncates: before 1970 the rest is negative, and counts from the end of the day before.
  const before = scope.bind(bin('<', micros, lit(0)), 'before')
  const [days] = scope.split(whole, 'i64', 'day')
  return {
    days: bin('-', bin('|', days, lit(0)), cond(before, lit(1), lit(0))),
    micros: cond(before, bin('+', micros, lit(Number(MICROS_PER_DAY))), micros),
  }
}
