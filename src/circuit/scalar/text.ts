/** String functions. Positions are UTF-16 units, as in JavaScript; results are always well-formed text. */

import { MAX_STRING_BYTES, type TypeName } from '../../schema/types.js'
import { loneSurrogateAt, utf8Length, uuidToU128 } from '../../schema/values.js'
import { fail } from './failure.js'

/** a + b; fails if the result is longer than a string may be. */
export function concat(a: string, b: string): string {
  if (a.length + b.length > MAX_STRING_BYTES) tooLong(a.length + b.length)
  return limited(a + b)
}

export const upper = (text: string): string => limited(text.toUpperCase())
export const lower = (text: string): string => limited(text.toLowerCase())

/** `text.slice(start, end)`; where it cuts a surrogate pair, the half that is left becomes U+FFFD. */
export function slice(text: string, start: number, end?: number): string {
  const part = text.slice(start, end)
  return loneSurrogateAt(part) < 0 ? part : part.replace(/\p{Surrogate}/gu, '\ufffd')
}

/** Length of text in UTF-16 units, of bytes in bytes. */
export const lengthOf = (value: string | Uint8Array): number => value.length

const encoder = new TextEncoder()

/** The first 64 bits of a value as a number: of two values the lesser one never has the greater prefix. */
export function prefix(type: TypeName, value: string | Uint8Array | bigint): bigint {
  if (typeof value === 'bigint') return value >> 64n
  if (type === 'uuid') return uuidToU128(value as string) >> 64n
  // No more than 8 units can begin within 8 bytes.
  const bytes = typeof value === 'string' ? encoder.encode(value.slice(0, 9)) : value
  let word = 0n
  for (let k = 0; k < 8; k++) word = (word << 8n) | BigInt(k < bytes.length ? bytes[k] : 0)
  return word
}

function limited(text: string): string {
  if (text.length * 3 > MAX_STRING_BYTES) {
    const bytes = utf8Length(text)
    if (bytes > MAX_STRING_BYTES) tooLong(bytes)
  }
  return text
}

const tooLong = (size: number): never => fail(`string too long: ${size}, expected at most ${MAX_STRING_BYTES} bytes`)
