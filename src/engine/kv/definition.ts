/**
 * Key-value stores are tables of three columns: `head`, `key` and `value`. Rows are sorted by key; as text and bytes do
 * not fit into the key words by which tables are sorted and searched, `head` holds the first 16 bytes of each key as a
 * number, and the key itself decides between equal ones. The primary key is no constraint: a store puts a row in the place
 * of what is under its key, so there is one at most, and a search by the whole key costs the same if many begin alike.
 */
import { quote, SchemaError, show, UsageError } from '../../base/errors.js'
import { bytes, json, string, type TableDef, table, u128 } from '../../circuit/columns.js'
import type { JsonValue } from '../../schema/nested.js'
import { normalise, Problem } from '../../schema/values.js'

/** What a key may be, and as what it is read. */
export interface KvKeys {
  /** Well-formed text, in the order of its UTF-8 bytes. */
  readonly string: string
  readonly bytes: Uint8Array
}

/** What a value may be, and as what it is read. */
export interface KvValues {
  readonly string: string
  readonly bytes: Uint8Array
  /** Whatever JSON can say, `null` included. */
  readonly json: JsonValue
}

export interface KvTypes<K extends keyof KvKeys = keyof KvKeys, V extends keyof KvValues = keyof KvValues> {
  readonly key: K
  readonly value: V
}

/** A row of the table of a store. */
export interface KvRow<K, V> {
  /** The first 16 bytes of the key, with zeros behind it if it is shorter, as a number. */
  head: bigint
  key: K
  value: V
}

/** The table of a store; its rows are to be written by the store alone. */
export type KvTable<K, V> = TableDef<KvRow<K, V>, KvRow<K, V>, { head: bigint; key: K }>

/** The definition of a key-value store: made by `kv`, given to `db.kv`, `tx.kv` and `snapshot.kv`. */
export interface KvDef<K, V> {
  readonly kind: 'kv'
  readonly name: string
  readonly types: KvTypes
  /** For views: `q.from(blobs.table)`. */
  readonly table: KvTable<K, V>
}

const KEYS = { string, bytes }
const VALUES = { string, bytes, json: () => json().nullable() }

/** Defines a key-value store. Throws SchemaError on types that there are not, and on an empty name. */
export function kv<K extends keyof KvKeys, V extends keyof KvValues>(
  name: string,
  types: KvTypes<K, V>,
): KvDef<KvKeys[K], KvValues[V]> {
  mustBe(name, 'key', KEYS, types?.key)
  mustBe(name, 'value', VALUES, types?.value)
  const columns = { head: u128(), key: KEYS[types.key](), value: VALUES[types.value]() }
  const definition = table(name, columns as never, { primaryKey: ['head', 'key'] as never })
  const { key, value } = types
  return Object.freeze({ kind: 'kv', name, types: { key, value }, table: definition as never })
}

function mustBe(name: string, what: string, known: object, found: unknown): void {
  if (typeof found === 'string' && Object.hasOwn(known, found)) return
  const expected = Object.keys(known).map(quote).join(' or ')
  throw new SchemaError(`kv ${quote(String(name))}: ${what}: expected ${expected}, found ${show(found)}`)
}

const HEAD_BYTES = 16
/** With room for a character that reaches beyond the head. */
const start = new Uint8Array(HEAD_BYTES + 4)
const view = new DataView(start.buffer)
const utf8 = new TextEncoder()

/** The first 16 bytes of a key as a number: of two keys the lesser one never has the greater head. */
export function headOf(key: string | Uint8Array): bigint {
  const length = typeof key === 'string' ? utf8.encodeInto(key, start).written : Math.min(key.length, HEAD_BYTES)
  if (typeof key !== 'string') start.set(key.subarray(0, length))
  start.fill(0, length, HEAD_BYTES)
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8)
}

/** A key that has been checked. */
export function keyOf<K>({ name, types }: KvDef<K, unknown>, what: string, key: unknown): K {
  const canonical = normalise(types.key, key)
  if (!(canonical instanceof Problem)) return canonical as K
  throw new UsageError(`kv ${quote(name)}: ${what}: ${canonical.message}`)
}

/** Whether a key begins with another. */
export function beginsWith(key: string | Uint8Array, prefix: string | Uint8Array): boolean {
  if (typeof key === 'string') return key.startsWith(prefix as string)
  return key.length >= prefix.length && (prefix as Uint8Array).every((byte, i) => key[i] === byte)
}

/** The least key that is greater than all that begin with a prefix; null if there is none. */
export function behind<K>(prefix: K): K | null {
  return (typeof prefix === 'string' ? textBehind(prefix) : bytesBehind(prefix as Uint8Array)) as K | null
}

function bytesBehind(prefix: Uint8Array): Uint8Array | null {
  const last = prefix.findLastIndex(byte => byte < 0xff)
  if (last < 0) return null
  const out = prefix.slice(0, last + 1)
  out[last]++
  return out
}

function textBehind(prefix: string): string | null {
  const points = [...prefix]
  while (points.length > 0) {
    const point = points.pop()?.codePointAt(0) as number
    if (point === 0x10ffff) continue
    // Between them lie the surrogates, which are no characters.
    return points.join('') + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1)
  }
  return null
}
