/**
 * Circuits as text: relational nodes and expressions, as JSON that comes back as the same frozen nodes. A database keeps
 * its views so, and compares them so: two circuits have the same text exactly if they are built of the same nodes in the
 * same way, shared nodes included.
 *
 * The text is a list of objects, each after those it refers to ({"$ref": place in the list}); the last is the root. Any
 * plain node goes through, whatever its kind, but for three: schemas are written as their columns, relations and user
 * functions as their names (what these stand for is asked for when the text is read), aggregates of users with the type of
 * their results.
 */
import { GnitzError, quote, show, UsageError } from '../../base/errors.js'
import { type ColumnSpec, type RowSchema, rowSchema, type TableSchema, tableSchema } from '../../schema/schema.js'
import type { UserAggregate } from '../aggregates/definition.js'
import type { Udf } from '../expr.js'
import type { Relation } from '../rel.js'
import { findBuiltIn } from '../scalar/built-in.js'
import { fromJson, type Json, objectFromJson, objectToJson, toJson } from './values.js'

type JsonObject = { readonly [key: string]: Json }

/** What names in a text stand for. */
export interface Names {
  /** Throws if there is no such table or view. */
  relation(name: string): Relation
  /** A function of a user by its `udfKey`. Throws if there is none. */
  udf(key: string): Udf
}

const AGGREGATE = 'aggregate '

/** What a function of a user goes by: its name; aggregates have names of their own. */
export const udfKey = (udf: Udf): string => (isUserAggregate(udf) ? `${AGGREGATE}${quote(udf.name)}` : udf.name)

/** The key in words, and how the user calls the function. */
export function udfLabel(key: string): { readonly what: string; readonly name: string } {
  if (!key.startsWith(AGGREGATE)) return { what: `the function ${quote(key)}`, name: key }
  return { what: `the ${key}`, name: JSON.parse(key.slice(AGGREGATE.length)) as string }
}

export function isUserAggregate(value: unknown): value is UserAggregate {
  if (typeof value !== 'object' || value === null) return false
  const { kind, fn } = value as { kind?: unknown; fn?: unknown }
  return kind === 'user' && typeof fn === 'function'
}

/** How relations are written: by name unless told otherwise. */
export type NameOf = (relation: Relation) => string

/** The text of a node and all below it. Throws GnitzError on what is not a plain node. */
export function circuitText(root: object, nameOf: NameOf = relation => relation.schema.name): string {
  const places = new Map<object, number>()
  const list: Json[] = []
  const write = (value: unknown): Json => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
      return Array.isArray(value) ? value.map(write) : toJson(value)
    }
    let place = places.get(value)
    if (place === undefined) {
      const json = special(value, nameOf) ?? objectToJson(value, write)
      place = list.push(json) - 1
      places.set(value, place)
    }
    return { $ref: place }
  }
  write(root)
  return JSON.stringify(list)
}

function special(value: object, nameOf: NameOf): Json | null {
  const { kind, fn, nullWords, nullBit } = value as { [key: string]: unknown }
  // Whose identity matters: nodes refer to columns by index.
  if (typeof nullBit === 'number') throw new GnitzError('INTERNAL', 'a circuit refers to a column by its object')
  if (kind === 'table' || kind === 'view') return { $relation: nameOf(value as Relation) }
  if (isUserAggregate(value)) return { $aggregate: value.name, type: value.type, nullable: value.nullable }
  if (typeof fn === 'function') return { $udf: (value as Udf).name }
  if (typeof nullWords === 'number') return { $schema: schemaJson(value as RowSchema) }
  return null
}

/** A schema as JSON. */
export function schemaJson(schema: RowSchema | TableSchema): Json {
  const row = { name: schema.name, columns: schema.columns.map(c => toJson(specOf(c))) }
  return 'primaryKey' in schema ? { ...row, primaryKey: schema.primaryKey.map(k => schema.columns[k].name) } : row
}

/** What a column was made of: all that does not follow from the rest. */
function specOf(column: RowSchema['columns'][number]): ColumnSpec {
  const { index: _index, info: _info, nullBit: _nullBit, ...spec } = column
  return spec
}

/** The inverse of `schemaJson`. Throws SchemaError. */
export function schemaFromJson(json: Json): RowSchema | TableSchema {
  const { name, columns, primaryKey } = json as { name: string; columns: Json[]; primaryKey?: string[] }
  const specs = columns.map(c => fromJson(c) as ColumnSpec)
  return primaryKey === undefined ? rowSchema(name, specs) : tableSchema(name, specs, primaryKey)
}

/** The node that a text stands for. Throws GnitzError if it is not such a text, and what `names` throws. */
export function circuitOf(text: string, names: Names): object {
  const list = JSON.parse(text) as JsonObject[]
  if (!Array.isArray(list) || list.length === 0)
    throw new GnitzError('CORRUPT', `expected a circuit, found ${show(text)}`)
  const nodes: unknown[] = []
  const read = (json: Json): unknown => {
    if (typeof json !== 'object' || json === null) return json
    if (!Array.isArray(json) && '$ref' in json) {
      const place = (json as JsonObject).$ref as number
      if (!(place < nodes.length)) throw new GnitzError('CORRUPT', `a circuit refers to node ${show(place)} too early`)
      return nodes[place]
    }
    return objectFromJson(json, read)
  }
  for (const json of list) nodes.push(named(json, names) ?? read(json))
  return nodes[nodes.length - 1] as object
}

function named(json: JsonObject, names: Names): unknown {
  if ('$relation' in json) return names.relation(json.$relation as string)
  if ('$udf' in json) return findBuiltIn(json.$udf as string) ?? names.udf(json.$udf as string)
  if ('$aggregate' in json) return aggregateOf(json, names)
  return '$schema' in json ? schemaFromJson(json.$schema) : null
}

function aggregateOf({ $aggregate: name, type, nullable }: JsonObject, names: Names): UserAggregate {
  const found = names.udf(`${AGGREGATE}${quote(name as string)}`)
  if (isUserAggregate(found) && found.type === type && found.nullable === nullable) return found
  const text = (t: unknown, n: unknown) => `${t}${n === true ? ', nullable' : ''}`
  const gives = isUserAggregate(found) ? text(found.type, found.nullable) : 'something else'
  throw new UsageError(`aggregate ${quote(name as string)} gives ${gives}, stored as ${text(type, nullable)}`)
}

/** The user functions that a node and those below it call, by `udfKey`. */
export function udfsIn(root: object): Map<string, Udf> {
  const udfs = new Map<string, Udf>()
  const seen = new Set<object>()
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    const { kind, fn } = value as { [key: string]: unknown }
    if (kind === 'table' || kind === 'view') return
    if (typeof fn === 'function') udfs.set(udfKey(value as Udf), value as Udf)
    else for (const inner of Object.values(value)) visit(inner)
  }
  visit(root)
  return udfs
}

/** Names of relations and functions that a text refers to. */
export function namesIn(text: string): { relations: string[]; udfs: string[] } {
  const list = JSON.parse(text) as JsonObject[]
  const pick = (key: string) => [...new Set(list.flatMap(json => (key in json ? [json[key] as string] : [])))]
  return { relations: pick('$relation'), udfs: pick('$udf') }
}
