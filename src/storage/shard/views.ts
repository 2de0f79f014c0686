/** Typed arrays over bytes, and bytes over typed arrays: how regions become vectors and back without a copy. */
import type { Storage } from '../../schema/types.js'
import { type Batch, type ColumnArray, lanesOf, stride } from '../../zset/batch.js'

/** The bytes of the first `sizeBytes` of an array. */
export function bytesOf(array: ColumnArray, sizeBytes: number): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, sizeBytes)
}

/** A column's vector over a region. REQUIRES: the bytes begin at a multiple of 8 in their buffer. */
export function columnOver(storage: Storage, { buffer, byteOffset, length }: Uint8Array): ColumnArray {
  switch (storage) {
    case 'u8':
      return new Uint8Array(buffer, byteOffset, length)
    case 'i8':
      return new Int8Array(buffer, byteOffset, length)
    case 'u16':
      return new Uint16Array(buffer, byteOffset, length >>> 1)
    case 'i16':
      return new Int16Array(buffer, byteOffset, length >>> 1)
    case 'u32':
    case 'german':
      return new Uint32Array(buffer, byteOffset, length / 4)
    case 'i32':
      return new Int32Array(buffer, byteOffset, length / 4)
    case 'f32':
      return new Float32Array(buffer, byteOffset, length / 4)
    case 'f64':
      return new Float64Array(buffer, byteOffset, length / 8)
    case 'i64':
      return new BigInt64Array(buffer, byteOffset, length / 8)
    case 'u64':
    case 'w128':
      return new BigUint64Array(buffer, byteOffset, length / 8)
  }
}

/** Makes `view` show rows from..to of `batch` without copying them. */
export function showRows(batch: Batch, from: number, to: number, view: Batch): void {
  const { key, schema, stored } = batch.layout
  view.length = to - from
  view.capacity = to - from
  view.order = batch.order
  view.keys = batch.keys.subarray(from * key.words, to * key.words)
  view.keys32 = lanesOf(view.keys)
  view.setWeights(batch.weights.subarray(from, to))
  view.nulls = batch.nulls.subarray(from * schema.nullWords, to * schema.nullWords)
  view.nulls32 = lanesOf(view.nulls)
  for (const { index, info } of stored) {
    const elements = stride(info.storage)
    view.setColumn(index, batch.columns[index].subarray(from * elements, to * elements))
  }
  view.heap = batch.heap
}
