/**
 * Functions of arrays, maps, structs and json, and whatever else needs no operator of its own: `function` calls, by
 * name. Each takes canonical values with their types and gives a canonical value of the type that the call has.
 */
import { decodeInterval } from '../../schema/interval.js'
import {
  countElements,
  elementAt,
  elementsOf,
  entriesOf,
  fieldAt,
  type JsonValue,
  jsonAt,
  packArray,
  packJson,
  packMap,
  packStruct,
  unpackJson,
} from '../../schema/nested.js'
import { MAX_STRING_BYTES, TYPES, type TypeName, type Value } from '../../schema/types.js'
import {
  compareStrings,
  equalValues,
  jsonOf,
  type NonNullValue,
  Problem,
  parseJson,
  showValue,
} from '../../schema/values.js'
import { finishHash, hashValue, newHash, startHash } from '../../zset/hash.js'
import { type Rounding, roundDecimal } from './decimals.js'
import { fail } from './failure.js'
import { between, makeInterval, type TruncUnit, truncate } from './temporal.js'
import { differenceSaturated, sumSaturated, windowStart, windowStarts } from './time-windows.js'
import { fromLocal, toLocal } from './zones.js'

/** What a call knows besides the values. */
interface Types {
  readonly args: readonly TypeName[]
  readonly result: TypeName
}

interface ScalarFunction {
  /** `strict`: NULL if an argument is; `partial`: NULL on other arguments too; `total`: takes NULL, never gives it. */
  readonly nulls: 'strict' | 'partial' | 'total'
  readonly canFail: boolean
  readonly evaluate: (values: readonly NonNullValue[], types: Types) => Value
}

type Evaluate = ScalarFunction['evaluate']

const strict = (evaluate: Evaluate, canFail = false): ScalarFunction => ({ nulls: 'strict', canFail, evaluate })
const partial = (evaluate: Evaluate, canFail = false): ScalarFunction => ({ nulls: 'partial', canFail, evaluate })
const total = (evaluate: (values: readonly Value[], types: Types) => Value): ScalarFunction => ({
  ...{ nulls: 'total', canFail: true },
  evaluate,
})

/** `total`, where it cannot fail. */
const safe = (evaluate: (values: readonly Value[], types: Types) => Value): ScalarFunction => ({
  ...{ nulls: 'total', canFail: false },
  evaluate,
})

const bytesOf = (value: Value): Uint8Array => value as Uint8Array

function limited(bytes: Uint8Array): Uint8Array {
  return bytes.length <= MAX_STRING_BYTES ? bytes : fail(`value too long: ${bytes.length} bytes`)
}

const elements = (value: Value, { args }: Types, at = 0): Value[] => elementsOf(args[at], bytesOf(value))
const entries = (value: Value, { args }: Types) => entriesOf(args[0], bytesOf(value))

function indexOf([array, x]: readonly Value[], types: Types): number {
  return elements(array, types).findIndex(e => e !== null && equalValues(types.args[1], e, x))
}

const ARRAYS = {
  makeArray: total((values, { result }) => limited(packArray(result, values))),
  arrayLength: strict(([array], { args }) => countElements(args[0], bytesOf(array))),
  /** `a[i]`: NULL before the start, as beyond the end. */
  arrayElement: partial(([array, at], { args }) => elementAt(args[0], bytesOf(array), Number(at)) ?? null),
  /** `.at(i)`: negative positions count from the end. */
  arrayAt: partial(([array, at], { args }) => {
    const position = Math.trunc(Number(at))
    const length = position < 0 ? countElements(args[0], bytesOf(array)) : 0
    return elementAt(args[0], bytesOf(array), length + position) ?? null
  }),
  arrayIncludes: strict((values, types) => indexOf(values, types) >= 0),
  arrayIndexOf: strict((values, types) => indexOf(values, types)),
  /** The first element that is NULL; for what is looked for being NULL. */
  arrayIndexOfNull: strict(([array], types) => elements(array, types).indexOf(null)),
  arrayConcat: strict((values, types) => {
    return limited(
      packArray(
        types.result,
        values.flatMap((v, i) => elements(v, types, i)),
      ),
    )
  }, true),
  arraySlice: strict(([array, from, to], types) => {
    return packArray(
      types.result,
      elements(array, types).slice(Number(from), to === undefined ? undefined : Number(to)),
    )
  }),
  arrayJoin: strict(([array, separator], types) => {
    const text = elements(array, types)
      .filter(e => e !== null)
      .join(separator as string)
    return text.length * 3 <= MAX_STRING_BYTES ? text : fail(`string too long: ${text.length}`)
  }, true),
} as const

const MAPS = {
  makeMap: strict(([keys, values], types) => {
    const [k, v] = [elements(keys, types, 0), elements(values, types, 1)]
    if (k.length !== v.length) return fail(`a map of ${k.length} keys and ${v.length} values`)
    if (k.includes(null)) return fail('a map with the key NULL')
    const pairs = k.map((key, i) => [key as NonNullValue, v[i]] as const)
    return limited(packMap(types.result, pairs) ?? fail('a map with a key that occurs twice'))
  }, true),
  mapGet: partial(([map, key], types) => {
    return entries(map, types).find(([k]) => equalValues(types.args[1], k, key))?.[1] ?? null
  }),
  mapHas: strict(([map, key], types) => entries(map, types).some(([k]) => equalValues(types.args[1], k, key))),
  mapSize: strict(([map], types) => entries(map, types).length),
  mapKeys: strict(([map], types) =>
    packArray(
      types.result,
      entries(map, types).map(([k]) => k),
    ),
  ),
  mapValues: strict(([map], types) =>
    packArray(
      types.result,
      entries(map, types).map(([, v]) => v),
    ),
  ),
} as const

const STRUCTS = {
  makeStruct: total((values, { result }) => limited(packStruct(result, values))),
  /** The second argument is a literal: the position of the field. */
  field: partial(([struct, at], { args }) => fieldAt(args[0], bytesOf(struct), Number(at))),
} as const

type JsonObject = { readonly [name: string]: JsonValue }
const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function jsonKind(value: JsonValue): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

/** Whether all of `part` is found in `whole`, as by `@>` of PostgreSQL: an array holds its elements in any order. */
function jsonContains(whole: JsonValue, part: JsonValue): boolean {
  if (Array.isArray(whole)) {
    const parts = Array.isArray(part)
      ? (part as readonly JsonValue[])
      : typeof part === 'object' && part !== null
        ? null
        : [part]
    return parts?.every(p => whole.some(w => sameKind(w, p) && jsonContains(w, p))) ?? false
  }
  if (isObject(whole)) {
    if (!isObject(part)) return false
    return Object.entries(part).every(([name, p]) => {
      return Object.hasOwn(whole, name) && sameKind(whole[name], p) && jsonContains(whole[name], p)
    })
  }
  return whole === part
}

/** Only at the top may an array hold a value that is not an array. */
const sameKind = (a: JsonValue, b: JsonValue): boolean => jsonKind(a) === jsonKind(b)

/** A json value as a whole is not null. */
const orNull = (json: Uint8Array | null): Uint8Array | null => (json?.[0] === JSON_NULL ? null : json)
const JSON_NULL = 1

const JSONS = {
  toJson: strict(([value], { args }) => {
    const json = jsonOf(args[0], value)
    return limited(packJson(json))
  }, true),
  jsonText: strict(([json]) => JSON.stringify(unpackJson(bytesOf(json)))),
  /** `j[x]`: a member by name, or an element by position; NULL if it is not there, or null. */
  jsonElement: partial(([json, step]) => orNull(jsonAt(bytesOf(json), step as string | number))),
  /** The same, but negative positions count from the end. */
  jsonGet: partial(([json, step]) => {
    if (typeof step !== 'number' || step >= 0) return orNull(jsonAt(bytesOf(json), step as string | number))
    const value = unpackJson(bytesOf(json))
    return Array.isArray(value) ? orNull(jsonAt(bytesOf(json), value.length + step)) : null
  }),
  /** JSON text; the text `null` is NULL. */
  parseJson: partial(([text]) => {
    const json = parseJson(text as string)
    return json instanceof Problem ? fail(`cannot cast ${showValue('string', text)} to json`) : json
  }, true),
  jsonKind: strict(([json]) => jsonKind(unpackJson(bytesOf(json)))),
  /** Of an array, an object, or text; else NULL. */
  jsonLength: partial(([json]) => {
    const value = unpackJson(bytesOf(json))
    if (Array.isArray(value) || typeof value === 'string') return value.length
    return isObject(value) ? Object.keys(value).length : null
  }),
  /** Names of an object in order, else NULL. */
  jsonKeys: partial(([json], { result }) => {
    const value = unpackJson(bytesOf(json))
    if (!isObject(value)) return null
    return packArray(result, Object.keys(value).sort(compareStrings))
  }),
  /** Elements of an array, NULL for null; of anything else NULL. */
  jsonElements: partial(([json], { result }) => {
    const value = unpackJson(bytesOf(json))
    return Array.isArray(value)
      ? packArray(
          result,
          (value as readonly JsonValue[]).map(v => (v === null ? null : packJson(v))),
        )
      : null
  }),
  jsonContains: strict(([whole, part]) => jsonContains(unpackJson(bytesOf(whole)), unpackJson(bytesOf(part)))),
} as const

const rounding = (how: Rounding): ScalarFunction =>
  strict(([value], { args, result }) => roundDecimal(how, args[0], result, value as bigint), true)

const DECIMALS = {
  decimalRound: rounding('round'),
  decimalFloor: rounding('floor'),
  decimalCeil: rounding('ceil'),
  decimalTrunc: rounding('trunc'),
  decimalAbs: strict(([value]) => ((value as bigint) < 0n ? -(value as bigint) : value)),
} as const

const TIMES = {
  makeInterval: strict(([months, days, micros]) => makeInterval(Number(months), Number(days), micros as bigint), true),
  intervalMonths: strict(([interval]) => decodeInterval(bytesOf(interval)).months),
  intervalDays: strict(([interval]) => decodeInterval(bytesOf(interval)).days),
  intervalMicros: strict(([interval]) => decodeInterval(bytesOf(interval)).micros),
  between: strict(([later, earlier]) => between(later as bigint, earlier as bigint), true),
  toLocal: strict(([instant, zone]) => checkedInstant(toLocal(instant as bigint, zone as string)), true),
  fromLocal: strict(([local, zone]) => checkedInstant(fromLocal(local as bigint, zone as string)), true),
  /** Of a timestamp: the second argument is a literal. */
  dateTrunc: strict(([micros, unit]) => truncate(unit as TruncUnit, micros as bigint), true),
} as const

function checkedInstant(micros: bigint): bigint {
  return BigInt.asIntN(64, micros) === micros ? micros : fail('timestamp overflow in a time zone')
}

/** For joins by range and their conditions (`band.ts`). */
const RANGES = {
  /** A sum that stays at the end of the type's range instead of leaving it. */
  addSaturated: strict(([a, b], { result }) => sumSaturated(result, a as bigint, b as bigint)),
  subSaturated: strict(([a, b], { result }) => differenceSaturated(result, a as bigint, b as bigint)),
  rangeLevel: strict(([lo, hi], { args }) => {
    const distance = imageOf(args[1], hi) - imageOf(args[0], lo)
    return distance <= 0n ? 0 : distance.toString(2).length
  }),
  /** Where equal values have equal hashes, NULL included. */
  rangeHash: safe((values, { args }) => {
    startHash(hash)
    for (let i = 0; i < values.length; i++) hashValue(hash, args[i], values[i])
    finishHash(hash)
    return hash[0] >>> 0
  }),
} as const

const bits = new DataView(new ArrayBuffer(8))

/** The order-preserving image of a 64-bit value or a number, as keys have it; distances of images are what counts. */
function imageOf(type: TypeName, value: NonNullValue): bigint {
  if (TYPES[type].js === 'bigint') return value as bigint
  bits.setFloat64(0, value as number)
  const image = bits.getBigUint64(0)
  return image >> 63n ? BigInt.asUintN(64, ~image) : image | (1n << 63n)
}

const hash = newHash()

/** Not of a row: filters with it become gates, in which it does not occur any more. */
const CLOCK = {
  now: { nulls: 'strict', canFail: true, evaluate: () => fail('now() has no value here') },
} as const satisfies Record<string, ScalarFunction>

/** Time windows (`time-windows.ts`): size and offset are literals of the time's type. */
const WINDOWS = {
  windowStart: strict(([at, size, offset], { result }) =>
    windowStart(result, at as bigint, size as bigint, offset as bigint),
  ),
  /** The starts of all windows of `size` that hold `at`, one beginning every `step`, latest first. */
  windowStarts: strict(([at, size, step, offset], { args, result }) =>
    packArray(result, windowStarts(args[0], at as bigint, size as bigint, step as bigint, offset as bigint)),
  ),
} as const

const FUNCTIONS = {
  ...CLOCK,
  ...WINDOWS,
  ...RANGES,
  ...ARRAYS,
  ...MAPS,
  ...STRUCTS,
  ...JSONS,
  ...DECIMALS,
  ...TIMES,
} as const

export type FunctionName = keyof typeof FUNCTIONS

/** The function of a call. */
export const functionNamed = (name: string | null): ScalarFunction => FUNCTIONS[name as FunctionName]

/** The value of a call. */
export function callFunction(name: string | null, values: readonly Value[], types: Types): Value {
  const { nulls, evaluate } = functionNamed(name)
  if (nulls !== 'total' && values.includes(null)) return null
  return evaluate(values as readonly NonNullValue[], types)
}
