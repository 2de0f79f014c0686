/**
 * Canonical bytes of arrays, maps, structs and json: equal values have equal bytes, and the order of bytes is the order
 * of values, so that kernels treat them like any other bytes.
 *
 *     array    its elements, then 0                             element, value, field:  1           if NULL
 *     map      its entries by key (2, key, value), then 0                               2, bytes    otherwise
 *     struct   its fields in the order of the type
 *     json     1 null, 2 false, 3 true, 4 number (f64), 5 text, 6 elements 0, 7 members (1, name, value) by name 0
 *
 * Hence arrays and maps are ordered by their first difference, a beginning before what it begins, NULL first; json by
 * kind, null < false < true < numbers < text < arrays < objects. JSON numbers are doubles without -0; objects are
 * sorted by name, in UTF-8, and the last of several members of one name counts, as in `JSON.parse`. A json value as a
 * whole is not null: there NULL says it.
 *
 * *Parts* are the canonical values inside: elements, entries, fields. Functions on nested values are written on them.
 */
import { BadBytes, ByteReader, ByteWriter } from './bytes.js'
import { DECIMAL_OFFSET } from './decimal.js'
import { encodeInterval, readInterval } from './interval.js'
import { type Part, type Shape, TYPES, type TypeName, type Value } from './types.js'

type NonNull = Exclude<Value, null>

const END = 0
const NULL = 1
const PRESENT = 2

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The bytes of a canonical value inside another one. */
export function writeValue(writer: ByteWriter, type: TypeName, value: NonNull): void {
  const { storage, shape } = TYPES[type]
  switch (storage) {
    case 'german':
      if (shape !== null) writer.raw(value as Uint8Array)
      else writer.text(typeof value === 'string' ? encoder.encode(value) : (value as Uint8Array))
      break
    case 'w128': {
      const number = typeof value === 'string' ? BigInt(`0x${value.replaceAll('-', '')}`) : (value as bigint)
      const unsigned = shape === null ? number : number + DECIMAL_OFFSET
      writer.u64(unsigned >> 64n)
      writer.u64(BigInt.asUintN(64, unsigned))
      break
    }
    case 'i64':
      writer.u64(BigInt.asUintN(64, (value as bigint) ^ (-1n << 63n)))
      break
    case 'u64':
      writer.u64(value as bigint)
      break
    case 'f64':
      writer.f64(value as number)
      break
    case 'f32':
      writer.f32(value as number)
      break
    default: {
      const width = Number(storage.slice(1)) / 8
      const offset = storage[0] === 'i' ? 2 ** (width * 8 - 1) : 0
      writer.unsigned(Number(value) + offset, width)
    }
  }
}

/** Inverse of `writeValue`. Throws BadBytes on what that does not write. */
export function readValue(reader: ByteReader, type: TypeName): NonNull {
  const { storage, shape } = TYPES[type]
  switch (storage) {
    case 'german': {
      if (shape === null) return type === 'string' ? decodeText(reader.text()) : reader.text()
      const from = reader.at
      skipShape(reader, shape)
      return reader.bytes.slice(from, reader.at)
    }
    case 'w128': {
      const number = (reader.u64() << 64n) | reader.u64()
      if (shape !== null) return number - DECIMAL_OFFSET
      if (type !== 'uuid') return number
      const hex = number.toString(16).padStart(32, '0')
      return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
    }
    case 'i64':
      return BigInt.asIntN(64, reader.u64() ^ (1n << 63n))
    case 'u64':
      return reader.u64()
    case 'f64':
      return reader.f64()
    case 'f32':
      return reader.f32()
    default: {
      const width = Number(storage.slice(1)) / 8
      const offset = storage[0] === 'i' ? 2 ** (width * 8 - 1) : 0
      const number = reader.unsigned(width) - offset
      return type === 'bool' ? number === 1 : number
    }
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new BadBytes('not UTF-8')
  }
}

/** Moves behind a value without making it. */
function skipValue(reader: ByteReader, type: TypeName): void {
  const { storage, shape, sizeBytes } = TYPES[type]
  if (storage !== 'german') reader.skip(sizeBytes)
  else if (shape === null) reader.skipText()
  else skipShape(reader, shape)
}

function skipPart(reader: ByteReader, type: TypeName): void {
  const mark = reader.u8()
  if (mark === PRESENT) skipValue(reader, type)
  else if (mark !== NULL) throw new BadBytes('a mark that no part has')
}

function skipShape(reader: ByteReader, shape: Shape): void {
  switch (shape.kind) {
    case 'interval':
      readInterval(reader)
      break
    case 'json':
      skipJson(reader)
      break
    case 'array':
      while (reader.bytes[reader.at] !== END) skipPart(reader, shape.element.type)
      reader.u8()
      break
    case 'map':
      while (reader.u8() === PRESENT) {
        skipValue(reader, shape.key)
        skipPart(reader, shape.value.type)
      }
      break
    case 'struct':
      for (const field of shape.fields) skipPart(reader, field.type)
      break
    default:
      reader.skip(16)
  }
}

function writePart(writer: ByteWriter, type: TypeName, value: Value): void {
  writer.u8(value === null ? NULL : PRESENT)
  if (value !== null) writeValue(writer, type, value)
}

function readPart(reader: ByteReader, part: Part): Value {
  const mark = reader.u8()
  if (mark === NULL && part.nullable) return null
  if (mark !== PRESENT) throw new BadBytes('a mark that this part does not have')
  return readValue(reader, part.type)
}

type ShapeOf<K extends Shape['kind']> = Shape & { readonly kind: K }

/** The shape of a type that is known to be of this kind. */
export function shapeOf<K extends Shape['kind']>(type: TypeName, kind: K): ShapeOf<K> {
  const { shape } = TYPES[type]
  if (shape?.kind !== kind) throw new TypeError(`expected a type of kind ${kind}, found ${type}`)
  return shape as ShapeOf<K>
}

export function packArray(type: TypeName, elements: readonly Value[]): Uint8Array {
  const { element } = shapeOf(type, 'array')
  const writer = new ByteWriter()
  for (const value of elements) writePart(writer, element.type, value)
  writer.u8(END)
  return writer.finish()
}

export function elementsOf(type: TypeName, bytes: Uint8Array): Value[] {
  const { element } = shapeOf(type, 'array')
  const reader = new ByteReader(bytes)
  const elements: Value[] = []
  while (reader.bytes[reader.at] !== END) elements.push(readPart(reader, element))
  reader.u8()
  return elements
}

/** The number of elements, without making them. */
export function countElements(type: TypeName, bytes: Uint8Array): number {
  const { element } = shapeOf(type, 'array')
  const reader = new ByteReader(bytes)
  let count = 0
  for (; reader.bytes[reader.at] !== END; count++) skipPart(reader, element.type)
  return count
}

/** Element `at`, or undefined if there is none. */
export function elementAt(type: TypeName, bytes: Uint8Array, at: number): Value | undefined {
  const { element } = shapeOf(type, 'array')
  const reader = new ByteReader(bytes)
  for (let i = 0; reader.bytes[reader.at] !== END; i++) {
    if (i === at) return readPart(reader, element)
    skipPart(reader, element.type)
  }
  return undefined
}

export type MapEntry = readonly [key: NonNull, value: Value]

/** The map with these entries in any order, or null if a key occurs twice. */
export function packMap(type: TypeName, entries: readonly MapEntry[]): Uint8Array | null {
  const { key: keyType, value: valuePart } = shapeOf(type, 'map')
  const keyed = entries.map(([key, value]) => {
    const writer = new ByteWriter()
    writeValue(writer, keyType, key)
    return { key: writer.finish(), value }
  })
  keyed.sort((a, b) => compareBytes(a.key, b.key))
  const writer = new ByteWriter()
  for (const [i, { key, value }] of keyed.entries()) {
    if (i > 0 && compareBytes(key, keyed[i - 1].key) === 0) return null
    writer.u8(PRESENT)
    writer.raw(key)
    writePart(writer, valuePart.type, value)
  }
  writer.u8(END)
  return writer.finish()
}

export function entriesOf(type: TypeName, bytes: Uint8Array): MapEntry[] {
  const { key, value } = shapeOf(type, 'map')
  const reader = new ByteReader(bytes)
  const entries: MapEntry[] = []
  for (;;) {
    const mark = reader.u8()
    if (mark === END) return entries
    if (mark !== PRESENT) throw new BadBytes('a mark that no entry has')
    entries.push([readValue(reader, key), readPart(reader, value)])
  }
}

export function packStruct(type: TypeName, values: readonly Value[]): Uint8Array {
  const { fields } = shapeOf(type, 'struct')
  const writer = new ByteWriter()
  for (const [i, field] of fields.entries()) writePart(writer, field.type, values[i])
  return writer.finish()
}

/** The value of field `at`. */
export function fieldAt(type: TypeName, bytes: Uint8Array, at: number): Value {
  const { fields } = shapeOf(type, 'struct')
  const reader = new ByteReader(bytes)
  for (let i = 0; i < at; i++) skipPart(reader, fields[i].type)
  return readPart(reader, fields[at])
}

export function fieldsOf(type: TypeName, bytes: Uint8Array): Value[] {
  const reader = new ByteReader(bytes)
  return shapeOf(type, 'struct').fields.map(field => readPart(reader, field))
}

/** A JSON value as JavaScript has it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** Canonical bytes of some value of a type that has a shape: none, 0, or empty. REQUIRES: the type is not decimal. */
export function zeroBytes(type: TypeName): Uint8Array {
  const writer = new ByteWriter()
  writeZero(writer, type)
  return writer.finish()
}

function writeZero(writer: ByteWriter, type: TypeName): void {
  const { shape, js } = TYPES[type]
  switch (shape?.kind) {
    case 'json':
      writer.u8(2)
      break
    case 'interval':
      writer.raw(encodeInterval({ months: 0, days: 0, micros: 0n }))
      break
    case 'array':
    case 'map':
      writer.u8(END)
      break
    case 'struct':
      for (const field of shape.fields) {
        writer.u8(field.nullable ? NULL : PRESENT)
        if (!field.nullable) writeZero(writer, field.type)
      }
      break
    default: {
      const zeros = { boolean: false, number: 0, bigint: 0n, string: '', Uint8Array: new Uint8Array(0) } as const
      writeValue(writer, type, type === 'uuid' ? '0' : zeros[js])
    }
  }
}

/** REQUIRES: well-formed text, finite numbers, no undefined. */
export function packJson(value: JsonValue): Uint8Array {
  const writer = new ByteWriter()
  writeJson(writer, value)
  return writer.finish()
}

function writeJson(writer: ByteWriter, value: JsonValue): void {
  if (value === null) writer.u8(1)
  else if (typeof value === 'boolean') writer.u8(value ? 3 : 2)
  else if (typeof value === 'number') {
    writer.u8(4)
    writer.f64(value + 0)
  } else if (typeof value === 'string') {
    writer.u8(5)
    writer.text(encoder.encode(value))
  } else if (Array.isArray(value)) {
    writer.u8(6)
    for (const element of value as readonly JsonValue[]) writeJson(writer, element)
    writer.u8(END)
  } else {
    writer.u8(7)
    const members = Object.entries(value).map(([name, member]) => ({ name: encoder.encode(name), member }))
    for (const { name, member } of members.sort((a, b) => compareBytes(a.name, b.name))) {
      writer.u8(1)
      writer.text(name)
      writeJson(writer, member)
    }
    writer.u8(END)
  }
}

export function unpackJson(bytes: Uint8Array): JsonValue {
  return readJson(new ByteReader(bytes))
}

function readJson(reader: ByteReader): JsonValue {
  const kind = reader.u8()
  switch (kind) {
    case 1:
      return null
    case 2:
    case 3:
      return kind === 3
    case 4:
      return reader.f64()
    case 5:
      return decodeText(reader.text())
    case 6: {
      const elements: JsonValue[] = []
      while (reader.bytes[reader.at] !== END) elements.push(readJson(reader))
      reader.u8()
      return elements
    }
    case 7: {
      const members: [string, JsonValue][] = []
      while (reader.u8() !== END) members.push([decodeText(reader.text()), readJson(reader)])
      // Not by assignment: a member may be called `__proto__`.
      return Object.fromEntries(members)
    }
    default:
      throw new BadBytes('a kind of json that there is not')
  }
}

function skipJson(reader: ByteReader): void {
  const kind = reader.u8()
  if (kind === 4) reader.skip(8)
  else if (kind === 5) reader.skipText()
  else if (kind === 6) {
    while (reader.bytes[reader.at] !== END) skipJson(reader)
    reader.u8()
  } else if (kind === 7) {
    while (reader.u8() !== END) {
      reader.skipText()
      skipJson(reader)
    }
  } else if (kind < 1 || kind > 7) throw new BadBytes('a kind of json that there is not')
}

/** The bytes of a member or element of a json value, or null if it has none. */
export function jsonAt(bytes: Uint8Array, step: string | number): Uint8Array | null {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const found = (): Uint8Array => {
    const from = reader.at
    skipJson(reader)
    return bytes.slice(from, reader.at)
  }
  if (kind === 6 && typeof step === 'number') {
    for (let i = 0; reader.bytes[reader.at] !== END; i++) {
      if (i === step) return found()
      skipJson(reader)
    }
  }
  if (kind === 7 && typeof step === 'string') {
    const name = encoder.encode(step)
    while (reader.u8() !== END) {
      if (compareBytes(reader.text(), name) === 0) return found()
      skipJson(reader)
    }
  }
  return null
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return a.length - b.length
}
