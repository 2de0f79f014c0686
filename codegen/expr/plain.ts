/**
 * Reading and writing rows of batches value by value: generic execution, and the cold path that says why a row
 * failed. Written for clearness, on BigInt; the generated code must agree with it on every bit.
 */

import { DECIMAL_OFFSET } from '../../src/schema/decimal.js'
import type { Column, KeyField, Layout } from '../../src/schema/schema.js'
import { isDecimal, type TypeName, type Value } from '../../src/schema/types.js'
import { uuidFromU128, uuidToU128 } from '../../src/schema/values.js'
import type { Batch } from '../../src/zset/batch.js'
import { finishHash, HASH_LANES, hashValue, newHash, wordsOf } from '../../src/zset/hash.js'
import { decodeBytes, decodeString, encodeBytes, encodeString } from '../../src/zset/strings.js'
import { zeroValue } from './scope.js'

type NonNull = Exclude<Value, null>
const NO_BYTES = new Uint8Array(0)

/** All columns of row `i`, as `TYPES[type].js`. */
export function readRow(batch: Batch, i: number): Value[] {
  return batch.layout.schema.columns.map(column => readValue(batch, column, i))
}

export function readValue(batch: Batch, column: Column, i: number): Value {
  if (isNullAt(batch, column, i)) return null
  const field = batch.layout.key.fields.find(f => f.column.index === column.index)
  return field === undefined ? readCell(batch, column, i) : readKeyField(batch, field, i)
}

export function isNullAt(batch: Batch, column: Column, i: number): boolean {
  if (!column.nullable) return false
  const lane = batch.nulls32[i * batch.layout.schema.nullWords * 2 + (column.nullBit >> 5)]
  return ((lane >>> (column.nullBit & 31)) & 1) === 1
}

function readCell(batch: Batch, { index, type, info }: Column, i: number): Value {
  const cells = batch.columns[index]
  switch (info.storage) {
    case 'german':
      return (type === 'string' ? decodeString : decodeBytes)(batch.lanes[index], i * 4, batch.heap)
    case 'w128': {
      const value = ((cells[i * 2 + 1] as bigint) << 64n) | (cells[i * 2] as bigint)
      return fromU128(type, value)
    }
    default:
      return type === 'bool' ? cells[i] !== 0 : cells[i]
  }
}

/** The packed key of row `i` as one number. */
export function readKey(batch: Batch, i: number): bigint {
  const { words } = batch.layout.key
  const low = batch.keys[i * words]
  return words === 1 ? low : (batch.keys[i * words + 1] << 64n) | low
}

function readKeyField(batch: Batch, { column, fromBit, bits }: KeyField, i: number): Value {
  const shift = BigInt(batch.layout.key.words * 64 - fromBit - bits)
  const image = BigInt.asUintN(bits, readKey(batch, i) >> shift)
  return valueOfImage(column, image)
}

const sign = (bits: number): bigint => 1n << BigInt(bits - 1)
const floats = new DataView(new ArrayBuffer(8))

function valueOfImage({ type, info }: Column, image: bigint): Value {
  const bits = info.keyBits
  switch (info.storage) {
    case 'f32':
    case 'f64': {
      const raw = (image & sign(bits)) !== 0n ? image ^ sign(bits) : BigInt.asUintN(bits, ~image)
      floats.setBigUint64(0, bits === 64 ? raw : raw << 32n)
      return bits === 64 ? floats.getFloat64(0) : floats.getFloat32(0)
    }
    case 'w128':
      return fromU128(type, image)
    default: {
      if (type === 'bool') return image === 1n
      const value = info.storage.startsWith('i') ? BigInt.asIntN(bits, image ^ sign(bits)) : image
      return info.js === 'bigint' ? value : Number(value)
    }
  }
}

function imageOfValue({ type, info }: Column, value: NonNull): bigint {
  const bits = info.keyBits
  switch (info.storage) {
    case 'f32':
    case 'f64': {
      const raw = wordsOf(type, value).reduceRight((all, word) => (all << 32n) | BigInt.asUintN(32, BigInt(word)), 0n)
      return (raw & sign(bits)) === 0n ? raw | sign(bits) : BigInt.asUintN(bits, ~raw)
    }
    case 'w128':
      return toU128(type, value as string | bigint)
    default: {
      const number = BigInt(value as number | bigint | boolean)
      return info.storage.startsWith('i') ? BigInt.asUintN(bits, number) ^ sign(bits) : number
    }
  }
}

/** The lanes of the key of a row with these values, low first. */
export function keyLanesOf(layout: Layout, values: readonly Value[]): number[] {
  const { key } = layout
  if (key.kind === 'hash') {
    const state = newHash()
    for (const c of key.columns) hashValue(state, layout.schema.columns[c].type, values[c])
    finishHash(state)
    return Array.from(state.subarray(0, HASH_LANES), lane => lane >>> 0)
  }
  let packed = 0n
  for (const { column, fromBit, bits } of key.fields) {
    const value = values[column.index]
    if (value === null) continue
    const image = imageOfValue(column, value) | (column.nullable ? 1n << BigInt(bits) : 0n)
    packed |= image << BigInt(key.words * 64 - fromBit - bits)
  }
  return Array.from({ length: key.words * 2 }, (_, n) => Number((packed >> BigInt(n * 32)) & 0xffffffffn))
}

/** A value of 128 bits as it is stored: decimals have an offset. */
export function toU128(type: TypeName, value: string | bigint): bigint {
  if (typeof value === 'string') return uuidToU128(value)
  return isDecimal(type) ? value + DECIMAL_OFFSET : value
}

function fromU128(type: TypeName, stored: bigint): string | bigint {
  if (type === 'uuid') return uuidFromU128(stored)
  return isDecimal(type) ? stored - DECIMAL_OFFSET : stored
}

/** Writes one cell and its null bit; columns that live in the key just the bit. REQUIRES: the bit was 0. */
export function writeValue(batch: Batch, column: Column, k: number, value: Value): void {
  const { index, type, info } = column
  if (value === null) {
    const at = k * batch.layout.schema.nullWords * 2 + (column.nullBit >> 5)
    batch.nulls32[at] |= 1 << (column.nullBit & 31)
  }
  if (!batch.layout.stored.includes(column)) return
  const filled = value ?? zeroValue(type)
  if (type === 'string') encodeString(filled as string, batch.lanes[index], k * 4, batch.heap)
  else if (info.storage === 'german')
    encodeBytes(value === null ? NO_BYTES : (filled as Uint8Array), batch.lanes[index], k * 4, batch.heap)
  else if (info.storage === 'w128') {
    const number = value === null ? 0n : toU128(type, value as string | bigint)
    batch.columns[index][k * 2] = BigInt.asUintN(64, number)
    batch.columns[index][k * 2 + 1] = number >> 64n
  } else if (type === 'bool') batch.columns[index][k] = filled === true ? 1 : 0
  else batch.columns[index][k] = typeof filled === 'number' ? oneNaN(filled) : (filled as bigint)
}

/** The NaN of a computation may have any of many bit patterns, this one has one. */
export const oneNaN = (x: number): number => (Number.isNaN(x) ? Number.NaN : x)

/** Writes row `k`: key, null words, cells. `values` by column; undefined leaves a cell alone and its null bit 0. */
export function writeRow(batch: Batch, k: number, values: readonly (Value | undefined)[]): void {
  const { schema, key } = batch.layout
  batch.nulls.fill(0n, k * schema.nullWords, (k + 1) * schema.nullWords)
  for (const column of schema.columns) {
    const value = values[column.index]
    if (value !== undefined) writeValue(batch, column, k, value)
  }
  if (key.kind !== 'none') batch.keys32.set(keyLanesOf(batch.layout, values as readonly Value[]), k * key.words * 2)
}
