/**
 * Values as JSON that comes back exactly: what JSON lacks is written as an object with one key that begins with `$`.
 *
 *     12n → {"$n":"12"}    bytes → {"$b":"0aff"}    NaN, ±Infinity, -0 → {"$f":"NaN"}    a key "$x" → "$$x"
 */
import { GnitzError, show } from '../../base/errors.js'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** The value as JSON. Throws GnitzError on functions, symbols and objects of a class. */
export function toJson(value: unknown): Json {
  switch (typeof value) {
    case 'boolean':
    case 'string':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $f: Object.is(value, -0) ? '-0' : `${value}` }
    case 'bigint':
      return { $n: `${value}` }
    case 'object':
      return value === null ? null : objectToJson(value, toJson)
    default:
      throw new GnitzError('INTERNAL', `${show(value)} cannot be written as JSON`)
  }
}

/** Arrays, plain objects and bytes; `inner` writes what is in them. */
export function objectToJson(value: object, inner: (value: unknown) => Json): Json {
  if (Array.isArray(value)) return value.map(inner)
  if (value instanceof Uint8Array) return { $b: Array.from(value, byte => byte.toString(16).padStart(2, '0')).join('') }
  if (value instanceof Map) return { $m: [...value].map(([k, v]) => [inner(k), inner(v)]) }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new GnitzError('INTERNAL', `an object of class ${value.constructor.name} cannot be written as JSON`)
  }
  const out: Record<string, Json> = {}
  for (const [key, v] of Object.entries(value)) {
    if (v !== undefined) define(out, key.startsWith('$') ? `$${key}` : key, inner(v))
  }
  return out
}

/** A name like `__proto__` is a key like any other. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** The inverse of `toJson`; objects and arrays come frozen. */
export function fromJson(json: Json): unknown {
  if (typeof json !== 'object' || json === null) return json
  return objectFromJson(json, fromJson)
}

export function objectFromJson(
  json: readonly Json[] | { readonly [key: string]: Json },
  inner: (json: Json) => unknown,
) {
  if (Array.isArray(json)) return Object.freeze(json.map(inner))
  const keys = Object.keys(json)
  const record = json as { readonly [key: string]: Json }
  if (keys.length === 1) {
    const [key] = keys
    if (key === '$n') return BigInt(record.$n as string)
    if (key === '$f') return Number(record.$f)
    if (key === '$b') return bytesOf(record.$b as string)
    if (key === '$m') return new Map((record.$m as [Json, Json][]).map(([k, v]) => [inner(k), inner(v)]))
  }
  const out = {}
  for (const key of keys) define(out, key.startsWith('$$') ? key.slice(1) : key, inner(record[key]))
  return Object.freeze(out)
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16))
}

/** A list of values as text. */
export const encodeValues = (values: readonly unknown[]): string => JSON.stringify(toJson(values))

/** Throws SyntaxError if it is not such a text. */
export const decodeValues = <T>(text: string): T => fromJson(JSON.parse(text) as Json) as T
