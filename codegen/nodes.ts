/**
 * Nodes of a MemTable's skip list: where the fields of a node lie, and what `templates/node.js` and
 * `templates/skiplist.js` are made with.
 */
import type { Column, Layout } from '../src/schema/schema.js'
import type { Heap } from '../src/zset/heap.js'
import { compareGerman } from '../src/zset/strings.js'
import {
  $compareFields,
  $compareNode,
  $keyOf,
  $load,
  $nodeBelow,
  $packFields,
  $store,
  $unpackFields,
  $unpackNode,
  packFields,
  unpackFields,
} from '../templates/node.js'
import { build, type Mode, type Statics, type Unit } from './build.js'
import { external, type Macro, type Template } from './specialise/types.js'

/** Levels of the tallest node: those of the head. Its header is then 64 bytes. */
export const MAX_LEVELS = 13

interface Field {
  readonly name: string
  readonly index: number
  readonly storage: string
  readonly bytes: number
  /** Bytes from the start of the key. */
  readonly at: number
  readonly nullable: boolean
  readonly nullBit: number
}

/** Bytes of a node from its key on, before they are rounded up to a multiple of 16. */
export function nodeStride(layout: Layout): number {
  const head = layout.key.words * 8 + layout.schema.nullWords * 8
  return layout.stored.reduce((bytes, column) => bytes + column.info.sizeBytes, head)
}

function fieldsOf(layout: Layout): Field[] {
  let at = layout.key.words * 8 + layout.schema.nullWords * 8
  return layout.stored.map(({ name, index, info, nullable, nullBit }: Column) => {
    const field = { name, index, storage: info.storage, bytes: info.sizeBytes, at, nullable, nullBit }
    at += info.sizeBytes
    return field
  })
}

/** More columns are copied by functions of their own, so many at a time: V8 gives up on very large functions. */
const PART_COLUMNS = 128

/** What the kernels of nodes need to know at compile time, but for `$node` and `$overflow`. */
export function nodeStatics(mode: Mode, unit: Unit, layout: Layout): Statics {
  const fields = fieldsOf(layout)
  const whole = fields.length <= PART_COLUMNS
  const statics = {
    $layout: layout,
    $words: layout.key.words,
    $fields: whole ? fields : [],
    $order: layout.order.map(({ column, descending }) => {
      const field = fields.find(f => f.index === column.index) as Field
      return { ...field, descending }
    }),
    $levels: MAX_LEVELS,
    $stride: nodeStride(layout),
    $keyOf,
    $load,
    $store,
    $compareFields,
    $compareNode,
    $nodeBelow,
    $packFields,
    $unpackFields,
    $unpackNode,
    $compareStrings: external(compareGerman),
    $compareLoose: external(compareLoose),
    $moveLong: external(moveLong),
  }
  const $parts: { pack: Macro[]; unpack: Macro[] } = { pack: [], unpack: [] }
  for (let from = 0; !whole && from < fields.length; from += PART_COLUMNS) {
    const part = { ...statics, $fields: fields.slice(from, from + PART_COLUMNS) }
    const make = (name: string, template: unknown): Macro =>
      external(build<(...args: never[]) => unknown>(mode, unit, `${name}${from}`, template as Template, part).fn, name)
    $parts.pack.push(make('packFields', packFields))
    $parts.unpack.push(make('unpackFields', unpackFields))
  }
  return { ...statics, $parts }
}

/** Lanes of a cell that is not aligned. */
const cell = new Uint32Array(4)

/** `compareGerman` for a cell that may begin at any byte. */
function compareLoose(view: DataView, from: number, heap: Heap, b: Uint32Array, atB: number, heapB: Heap): number {
  for (let l = 0; l < 4; l++) cell[l] = view.getUint32(from + l * 4, true)
  return compareGerman(cell, 0, heap, b, atB, heapB)
}

function moveLong(from: Uint8Array, offset: number, length: number, to: Heap): number {
  return to.append(from, offset, length)
}
