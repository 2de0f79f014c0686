/**
 * Typed construction of expressions on decimals, intervals, arrays, maps, structs and json; see `typing.ts`, which asks
 * here first. Throws CompileError without a frame.
 */
import { CompileError } from '../base/errors.js'
import {
  arrayOf,
  decimalOf,
  decimalShape,
  isDecimal,
  isNumberType,
  MAX_PRECISION,
  mapOf,
  type Part,
  type Shape,
  structOf,
  TYPES,
  type TypeName,
} from '../schema/types.js'
import type { Expr } from './expr.js'
import { isUntypedNull, nullOf } from './literals.js'
import {
  asDecimalType,
  castable,
  commonDecimal,
  type DecimalOp,
  decimalResult,
  type FunctionName,
  isZone,
  TRUNC_UNITS,
  temporalResult,
} from './scalar.js'
import { call, detailed, literal } from './substitute.js'
import { cast, compare, condition, logic, typeText } from './typing.js'

export function refuse(problem: string, hint?: string): never {
  throw new CompileError(problem, hint === undefined ? {} : { hint })
}

export const kindOf = (e: Expr): Shape['kind'] | null => (isUntypedNull(e) ? null : (TYPES[e.type].shape?.kind ?? null))

export function apply(name: FunctionName, args: readonly Expr[], type: TypeName): Expr {
  return detailed('function', name, args, type)
}

/** An operand that must have this kind of type. */
export function operand<K extends Shape['kind']>(e: Expr, kind: K, what: string): Shape & { kind: K } {
  const { shape } = TYPES[e.type]
  if (isUntypedNull(e) || shape?.kind !== kind)
    refuse(`${what} needs ${/^[aei]/.test(kind) ? 'an' : 'a'} ${kind}, found ${typeText(e)}`)
  return shape as Shape & { kind: K }
}

// Arithmetic

/** `a op b` where one is a decimal or an interval; null where neither is. */
export function shapedArithmetic(op: string, sign: string, left: Expr, right: Expr): Expr | null {
  const kinds = [kindOf(left), kindOf(right)]
  if (kinds.includes('decimal')) return decimalArithmetic(op, sign, left, right)
  return kinds.includes('interval') ? temporalArithmetic(op, sign, left, right) : null
}

function decimalArithmetic(op: string, sign: string, left: Expr, right: Expr): Expr {
  const operands = [left, right].map(e => asDecimal(e, `${sign} of decimals`))
  const result = op === 'pow' ? null : decimalResult(op as DecimalOp, operands[0].type, operands[1].type)
  if (result === null) {
    const types = operands.map(e => e.type).join(' and ')
    refuse(
      `${sign} of ${types} has more than ${MAX_PRECISION} digits after the point`,
      'cast one of them: decimal(x, p, s)',
    )
  }
  return call(op as DecimalOp, operands, result)
}

/** A decimal as it is, an integer or a literal as the decimal that it is. */
function asDecimal(e: Expr, what: string): Expr {
  const type = isUntypedNull(e)
    ? null
    : e.kind === 'literal' && e.value !== null
      ? literalDecimal(e.value)
      : asDecimalType(e.type)
  if (type === null || type === undefined) {
    refuse(`${what}: expected a decimal or an integer, found ${typeText(e)}`, 'convert it: decimal(x, p, s) from `fn`')
  }
  return isDecimal(e.type) ? e : cast(type, e)
}

/** The narrowest decimal type of a literal, or null. */
function literalDecimal(value: unknown): TypeName | null {
  const match = /^-?(\d+)(?:\.(\d+))?$/.exec(String(value).trim())
  if (match === null) return null
  const scale = match[2]?.length ?? 0
  const precision = match[1].replace(/^0+/, '').length + scale
  return precision > MAX_PRECISION ? null : decimalOf(Math.max(1, precision), scale)
}

function temporalArithmetic(op: string, sign: string, left: Expr, right: Expr): Expr {
  const number = (e: Expr): Expr =>
    isNumberType(e.type) && e.type !== 'date' && !isUntypedNull(e) ? cast('f64', e) : e
  const text = (e: Expr): Expr => (e.kind === 'literal' && e.type === 'string' ? cast('interval', e) : e)
  const [a, b] = [left, right].map(e => text(number(e)))
  const result = isUntypedNull(a) || isUntypedNull(b) ? null : temporalResult(op, a.type, b.type)
  if (result === null) refuse(`${sign} cannot mix ${typeText(left)} and ${typeText(right)}`)
  return call(op as 'add', [a, b], result)
}

/** `-a` of a decimal or an interval, or null. */
export function shapedNegation(a: Expr): Expr | null {
  const kind = kindOf(a)
  return kind === 'decimal' || kind === 'interval' ? call('neg', [a], a.type) : null
}

// Types that meet

/** Both as one type where one of them is no plain type: decimals of more digits, parts that may be NULL; or null. */
export function meet(a: Expr, b: Expr): readonly [Expr, Expr] | null {
  if (a.type === b.type || isUntypedNull(a) || isUntypedNull(b)) return null
  const decimals = [a, b].filter(e => isDecimal(e.type))
  if (decimals.length > 0) {
    const operands = [a, b].map(e =>
      asDecimalType(e.type) === null && e.kind !== 'literal' ? null : asDecimal(e, 'comparison'),
    )
    if (operands[0] === null || operands[1] === null) return null
    const type = commonDecimal(operands[0].type, operands[1].type)
    return type === null ? null : [cast(type, operands[0]), cast(type, operands[1])]
  }
  const shaped = [a, b].every(e => ['array', 'map', 'struct'].includes(kindOf(e) ?? ''))
  if (!shaped) return null
  if (castable(a.type, b.type)) return [cast(b.type, a), b]
  return castable(b.type, a.type) ? [a, cast(a.type, b)] : null
}

// Members, methods and literals

/** The member of a value, like `.length` or a field, or null if there is none. */
export function memberOf(a: Expr, key: string): Expr | null {
  const { shape } = TYPES[a.type]
  if (isUntypedNull(a)) return null
  switch (shape?.kind) {
    case 'json':
      return key === 'length' ? apply('jsonLength', [a], 'f64') : apply('jsonGet', [a, stepOf(key)], 'json')
    case 'struct': {
      const at = shape.fields.findIndex(f => f.name === key)
      return at < 0 ? null : apply('field', [a, literal('u32', at)], shape.fields[at].type)
    }
    case 'array':
      if (key === 'length') return apply('arrayLength', [a], 'f64')
      return /^\d+$/.test(key) ? elementOf(a, literal('f64', Number(key))) : null
    case 'map':
      return key === 'size' ? apply('mapSize', [a], 'f64') : null
    case 'interval':
      if (key === 'micros') return apply('intervalMicros', [a], 'i64')
      return key === 'months' || key === 'days'
        ? apply(key === 'days' ? 'intervalDays' : 'intervalMonths', [a], 'f64')
        : null
    default:
      return null
  }
}

const stepOf = (key: string): Expr => (/^\d+$/.test(key) ? literal('f64', Number(key)) : literal('string', key))

/** `a[at]` with a computed position or name, or null if the value has no such members. */
export function elementOf(a: Expr, at: Expr): Expr | null {
  const { shape } = TYPES[a.type]
  if (shape?.kind === 'array') return apply('arrayElement', [a, position(at, '[…]')], shape.element.type)
  return shape?.kind === 'json' ? apply('jsonElement', [a, jsonStep(at, '[…]')], 'json') : null
}

const jsonStep = (at: Expr, what: string): Expr => (at.type === 'string' ? at : position(at, what))

export function position(at: Expr, what: string): Expr {
  if (!isUntypedNull(at) && isNumberType(at.type)) return at
  if (!isUntypedNull(at) && (at.type === 'i64' || at.type === 'u64')) return cast('f64', at)
  return refuse(`${what} needs a position, found ${typeText(at)}`)
}

/** `[a, b]`: elements of one type, which literals take from the others. */
export function makeArray(elements: readonly Expr[]): Expr {
  const first = elements.find(e => !isUntypedNull(e) && e.kind !== 'literal') ?? elements.find(e => !isUntypedNull(e))
  if (first === undefined) refuse('an array of nothing has no type', 'use array columns, or [x].slice(1)')
  const number = (e: Expr): boolean => isUntypedNull(e) || (isNumberType(e.type) && e.type !== 'date')
  if (
    elements.every(number) &&
    elements.some(e => !isUntypedNull(e) && e.type !== first.type && e.kind !== 'literal')
  ) {
    return makeArray(elements.map(e => (isUntypedNull(e) ? e : cast('f64', e))))
  }
  const values = elements.map(e => {
    if (isUntypedNull(e)) return nullOf(first.type)
    if (e.type === first.type) return e
    if (e.kind === 'literal' && castable(e.type, first.type)) return cast(first.type, e)
    return refuse(`an array needs elements of one type, found ${typeText(first)} and ${typeText(e)}`)
  })
  const type = arrayOf({ type: first.type, nullable: values.some(v => v.nullable) })
  return apply('makeArray', values, type)
}

/** `{ a, b }` as a value. */
export function makeStruct(fields: Iterable<readonly [string, Expr]>): Expr {
  const parts = [...fields]
  if (parts.length === 0) refuse('an object without members is not a value here')
  const untyped = parts.find(([, e]) => isUntypedNull(e))
  if (untyped !== undefined)
    refuse(`the member ${JSON.stringify(untyped[0])} is always null`, 'give it a type with a cast from `fn`')
  const type = structOf(parts.map(([name, e]) => ({ name, type: e.type, nullable: e.nullable })))
  return apply(
    'makeStruct',
    parts.map(([, e]) => e),
    type,
  )
}

// Functions of `fn`

export function makeMap(keys: Expr, values: Expr): Expr {
  const [k, v] = [operand(keys, 'array', 'mapOf').element, operand(values, 'array', 'mapOf').element]
  return apply('makeMap', [keys, values], mapOf(k.type, v))
}

export function mapPart(which: 'mapKeys' | 'mapValues', map: Expr): Expr {
  const { key, value } = operand(map, 'map', which)
  const part: Part = which === 'mapKeys' ? { type: key, nullable: false } : value
  return apply(which, [map], arrayOf(part))
}

/** A json value by steps, names and positions. */
export function jsonPath(json: Expr, steps: readonly Expr[]): Expr {
  operand(json, 'json', 'get')
  return steps.reduce((at, step) => apply('jsonGet', [at, jsonStep(step, 'get')], 'json'), json)
}

const JSON_RESULTS = {
  jsonText: 'string',
  jsonKind: 'string',
  jsonLength: 'f64',
  jsonKeys: arrayOf({ type: 'string', nullable: false }),
  jsonElements: arrayOf({ type: 'json', nullable: true }),
} as const

export function ofJson(name: keyof typeof JSON_RESULTS, json: Expr): Expr {
  operand(json, 'json', name)
  return apply(name, [json], JSON_RESULTS[name])
}

export function jsonContains(whole: Expr, part: Expr): Expr {
  operand(whole, 'json', 'jsonContains')
  return apply('jsonContains', [whole, toJson(part)], 'bool')
}

/** Any value as json. */
export function toJson(a: Expr): Expr {
  if (isUntypedNull(a)) return nullOf('json')
  return a.type === 'json' ? a : apply('toJson', [a], 'json')
}

export function parseJson(a: Expr): Expr {
  if (a.type !== 'string' || isUntypedNull(a))
    refuse(`json needs text, found ${typeText(a)}`, 'toJson(x) makes json of any value')
  return apply('parseJson', [a], 'json')
}

/** A literal argument: its value. */
function constant<T>(e: Expr | undefined, what: string, is: (value: unknown) => value is T): T {
  if (e?.kind === 'literal' && is(e.value)) return e.value
  return refuse(`${what} must be a literal`)
}
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value)
const isText = (value: unknown): value is string => typeof value === 'string'

/** `decimal(x, precision, scale)`: rounded half away from zero. */
export function toDecimal(a: Expr, precision: Expr, scale: Expr | undefined): Expr {
  const p = constant(precision, 'decimal: the precision', isNumber)
  const s = scale === undefined ? 0 : constant(scale, 'decimal: the scale', isNumber)
  if (p < 1 || p > MAX_PRECISION || s < 0 || s > p)
    refuse(`decimal(x, ${p}, ${s}): expected 1 to ${MAX_PRECISION} digits, as many or fewer after the point`)
  return cast(decimalOf(p, s), a)
}

export function roundDecimal(how: 'round' | 'floor' | 'ceil' | 'trunc', a: Expr, digits: Expr | undefined): Expr {
  const { precision, scale } = operand(a, 'decimal', how)
  const to = digits === undefined ? 0 : constant(digits, `${how}: the number of digits`, isNumber)
  if (to < 0 || to > scale) refuse(`${how}: expected 0 to ${scale} digits, found ${to}`)
  const name = ({ round: 'decimalRound', floor: 'decimalFloor', ceil: 'decimalCeil', trunc: 'decimalTrunc' } as const)[
    how
  ]
  // Rounding up may take a digit more.
  return apply(name, [a], decimalOf(Math.min(MAX_PRECISION, precision - scale + to + 1), to))
}

export function absDecimal(a: Expr): Expr | null {
  return decimalShape(a.type) === null || isUntypedNull(a) ? null : apply('decimalAbs', [a], a.type)
}

export function makeInterval(months: Expr, days: Expr, micros: Expr): Expr {
  return apply('makeInterval', [cast('f64', months), cast('f64', days), cast('i64', micros)], 'interval')
}

const instant = (e: Expr): boolean => !isUntypedNull(e) && (e.type === 'timestamp' || e.type === 'timestamptz')

export function elapsed(later: Expr, earlier: Expr): Expr {
  if (!instant(later) || later.type !== earlier.type)
    refuse(`elapsed needs two timestamps of one type, found ${typeText(later)} and ${typeText(earlier)}`)
  return apply('between', [later, earlier], 'interval')
}

/** Local time of an instant in a zone; the instant of a local time. */
export function inZone(name: 'toLocal' | 'fromLocal', at: Expr, zone: Expr): Expr {
  const [from, to]: readonly TypeName[] =
    name === 'toLocal' ? ['timestamptz', 'timestamp'] : ['timestamp', 'timestamptz']
  if (isUntypedNull(at) || at.type !== from) refuse(`a zone here needs a ${from}, found ${typeText(at)}`)
  if (isUntypedNull(zone) || zone.type !== 'string') refuse(`expected the name of a time zone, found ${typeText(zone)}`)
  if (zone.kind === 'literal' && typeof zone.value === 'string' && !isZone(zone.value))
    refuse(`unknown time zone ${JSON.stringify(zone.value)}`)
  return apply(name, [at, zone], to)
}

/** The start of the unit that a date or timestamp lies in; of a timestamptz in a zone, or in UTC. */
export function dateTrunc(unit: Expr, at: Expr, zone: Expr | undefined): Expr {
  const name = constant(unit, 'dateTrunc: the unit', isText)
  if (!TRUNC_UNITS.some(u => u === name))
    refuse(`dateTrunc: unknown unit ${JSON.stringify(name)}`, `there are ${TRUNC_UNITS.join(', ')}`)
  if (zone !== undefined) return inZone('fromLocal', dateTrunc(unit, inZone('toLocal', at, zone), undefined), zone)
  const from = at.type === 'date' && !isUntypedNull(at) ? cast('timestamp', at) : at
  if (!instant(from)) refuse(`dateTrunc needs a date or timestamp, found ${typeText(at)}`)
  return apply('dateTrunc', [from, unit], from.type)
}

// Ranges

/** lo <= x && x <= hi */
export function isBetween(x: Expr, lo: Expr, hi: Expr): Expr {
  return logic('and', compare('ge', x, lo), compare('le', x, hi))
}

/** |a - b| <= by, as b >= a - by && b <= a + by, which does not overflow. */
export function isNear(first: Expr, second: Expr, by: Expr): Expr {
  const [a, b] = [first, second].map(e => (!isUntypedNull(e) && e.type === 'date' ? cast('f64', e) : e))
  const [lo, hi] = (['subSaturated', 'addSaturated'] as const).map(name => {
    if (isNumberType(a.type)) return call(name === 'subSaturated' ? 'sub' : 'add', [a, numberLike(by)], 'f64')
    if (!['i64', 'u64', 'time', 'timestamp', 'timestamptz'].includes(a.type))
      refuse(`near needs numbers, bigints or times, found ${typeText(a)}`)
    return apply(name, [a, cast('i64', by)], a.type)
  })
  return condition(isBetween(b, lo, hi), 'near')
}

function numberLike(e: Expr): Expr {
  return !isUntypedNull(e) && isNumberType(e.type)
    ? e
    : refuse(`near needs a number as its distance, found ${typeText(e)}`)
}
