/** Packed rows: where the fields of a row lie, and what `templates/packed.js` is specialised with. */
import { assert } from '../src/base/errors.js'
import type { Layout } from '../src/schema/schema.js'
import type { Heap } from '../src/zset/heap.js'
import type { Statics } from './build.js'
import { external } from './specialise/types.js'

/** Bytes of key, weight and null words: where the columns begin. */
const headerBytes = ({ key, schema }: Layout): number => key.words * 8 + 8 + schema.nullWords * 8

/** Bytes of one packed row, long strings not counted. */
export function packedStride(layout: Layout): number {
  return layout.stored.reduce((bytes, column) => bytes + column.info.sizeBytes, headerBytes(layout))
}

/** What both directions need to know at compile time. */
export function packedStatics(layout: Layout): Statics {
  let offset = headerBytes(layout)
  const $fields = layout.stored.map(({ name, index, info }) => {
    const field = { name, index, offset, bytes: info.sizeBytes, isString: info.storage === 'german' }
    offset += info.sizeBytes
    return field
  })
  return { $layout: layout, $fields, $stride: offset, $moveLong: external(moveLong) }
}

/** Appends the bytes of a long string to a heap. What is read may come from outside, so its bounds are checked. */
function moveLong(from: Uint8Array, offset: number, length: number, to: Heap): number {
  assert(
    offset + length <= from.length,
    `${length} bytes of text at ${offset} lie within a blob of ${from.length} bytes`,
  )
  return to.append(from, offset, length)
}
