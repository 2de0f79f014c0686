/**
 * Expressions and circuits as text for people: plans, messages of tests, comments in generated code. Expressions
 * look like TypeScript; names are quoted where they are no identifiers, so that any name can be told from syntax.
 */
import { quote } from '../base/errors.js'
import { formatInterval } from '../schema/interval.js'
import { TYPES, type TypeName, type Value } from '../schema/types.js'
import { formatValue } from '../schema/values.js'
import { printBound } from './bounds.js'
import type { CallExpr, Expr, Op } from './expr.js'
import { inputsOf, nodesOf } from './nodes.js'
import type { AggregateSpec, JoinRel, Rel } from './rel.js'
import { frameText, isOffset, isRank, type WindowOrder, type WindowSpec, windowExprs } from './window.js'

const INFIX: Readonly<Partial<Record<Op, readonly [symbol: string, precedence: number]>>> = {
  or: ['||', 1],
  and: ['&&', 2],
  eq: ['==', 3],
  ne: ['!=', 3],
  is: ['===', 3],
  isnt: ['!==', 3],
  lt: ['<', 4],
  le: ['<=', 4],
  gt: ['>', 4],
  ge: ['>=', 4],
  add: ['+', 5],
  concat: ['+', 5],
  sub: ['-', 5],
  mul: ['*', 6],
  div: ['/', 6],
  rem: ['%', 6],
  pow: ['**', 7],
}
const LOWEST = 0
const PREFIX = 8
const HIGHEST = 9

/** Longest expression that is written out; the middle of longer ones is left out. */
const MAX_LENGTH = 2000

/** Functions of a time and distances. */
const SPANS: readonly string[] = ['windowStart', 'windowStarts', 'addSaturated', 'subSaturated']

const METHODS: Readonly<Partial<Record<Op, string>>> = {
  startsWith: 'startsWith',
  endsWith: 'endsWith',
  includes: 'includes',
  slice: 'slice',
  upper: 'toUpperCase',
  lower: 'toLowerCase',
  trim: 'trim',
}

export interface PrintOptions {
  /** What stands before columns of input 0 and 1; nothing before input 0 by default, `right.` before input 1. */
  readonly inputs?: readonly [left: string, right: string]
}

/** The expression as TypeScript-like text on one line. */
export function printExpr(expr: Expr, options: PrintOptions = {}): string {
  const inputs = options.inputs ?? ['', 'right']
  const text = new ExprPrinter(inputs).print(expr, LOWEST)
  if (text.length <= MAX_LENGTH) return text
  return `${text.slice(0, MAX_LENGTH / 2)} … ${text.slice(-MAX_LENGTH / 2)}`
}

/** A name as it is, or quoted if it is no identifier. */
export function printName(name: string): string {
  return /^[A-Za-z_$][\w$]{0,79}$/.test(name) ? name : quote(name)
}

class ExprPrinter {
  private readonly inputs: readonly string[]
  /** Shared sub-expressions are written out again and again, but not for ever. */
  private budget = MAX_LENGTH

  constructor(inputs: readonly string[]) {
    this.inputs = inputs
  }

  print(expr: Expr, precedence: number): string {
    if (--this.budget < 0) return '…'
    switch (expr.kind) {
      case 'column':
        return this.column(expr.name, this.inputs[expr.input])
      case 'literal':
        return printValue(expr.type, expr.value)
      case 'call':
        return this.call(expr, precedence)
    }
  }

  private column(name: string, input: string): string {
    const printed = printName(name)
    if (input === '') return printed
    return printed === name ? `${input}.${name}` : `${input}[${printed}]`
  }

  private call(expr: CallExpr, precedence: number): string {
    const infix = INFIX[expr.op]
    if (infix !== undefined) {
      const [symbol, own] = infix
      const [first, ...rest] = expr.args
      const associative = expr.op === 'and' || expr.op === 'or'
      const right = (e: Expr): string => this.print(e, associative ? own : own + 1)
      return parenthesised([this.print(first, own), ...rest.map(right)].join(` ${symbol} `), own < precedence)
    }
    const [a, b, c] = expr.args
    switch (expr.op) {
      case 'not':
        return `!${this.print(a, PREFIX)}`
      case 'neg':
        return parenthesised(`-${this.print(a, HIGHEST)}`, precedence > PREFIX)
      case 'isNull':
        return parenthesised(`${this.print(a, 4)} === null`, precedence > 3)
      case 'coalesce':
        return parenthesised(expr.args.map(arg => this.print(arg, 3)).join(' ?? '), precedence > LOWEST)
      case 'if': {
        const text = `${this.print(a, 1)} ? ${this.print(b, 1)} : ${this.print(c, LOWEST)}`
        return parenthesised(text, precedence > LOWEST)
      }
      case 'length':
        return `${this.print(a, HIGHEST)}.length`
      default:
        return this.named(expr)
    }
  }

  private named(expr: CallExpr): string {
    const method = METHODS[expr.op]
    if (method !== undefined) return `${this.print(expr.args[0], HIGHEST)}.${method}(${this.list(expr.args.slice(1))})`
    if (expr.op === 'function' && SPANS.includes(expr.detail ?? '')) {
      const [at, ...spans] = expr.args
      return `${functionName(expr)}(${[this.print(at, LOWEST), ...spans.map(s => this.span(s))].join(', ')})`
    }
    return `${functionName(expr)}(${this.list(expr.args)})`
  }

  /** A distance in the unit of a time. */
  private span(expr: Expr): string {
    if (expr.kind !== 'literal' || expr.value === null) return this.print(expr, LOWEST)
    const isInstant = expr.type === 'timestamp' || expr.type === 'timestamptz'
    return isInstant ? formatInterval({ months: 0, days: 0, micros: expr.value as bigint }) : String(expr.value)
  }

  private list(args: readonly Expr[]): string {
    return args.map(arg => this.print(arg, LOWEST)).join(', ')
  }
}

const parenthesised = (text: string, needed: boolean): string => (needed ? `(${text})` : text)

function functionName(expr: CallExpr): string {
  switch (expr.op) {
    case 'cast':
      return expr.type
    case 'math':
      return `Math.${printName(expr.detail ?? '')}`
    case 'datePart':
    case 'function':
      return printName(expr.detail ?? '')
    default:
      return expr.udf === null ? expr.op : printName(expr.udf.name)
  }
}

/** A literal as it would be written in a program. */
function printValue(type: TypeName, value: Value): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return type === 'uuid' ? `uuid(${quote(value)})` : quote(value)
  if (TYPES[type].shape !== null) return `${type.split('(')[0]}(${formatValue(type, value)})`
  if (value instanceof Uint8Array) return `bytes(${value.length > 16 ? `${value.length} bytes` : [...value]})`
  if (type === 'date' || type === 'time' || type === 'timestamp' || type === 'timestamptz') {
    return `${type}(${quote(formatValue(type, value))})`
  }
  return typeof value === 'bigint' ? `${value}n` : String(value)
}

/** `sum(amount)`, `count()`, `stringAgg(distinct name order by name) filter (paid)`. */
export function printAggregate({ fn, args, distinct, order, filter, detail }: AggregateSpec): string {
  const terms = order.map(o => `${printExpr(o.expr)}${o.descending ? ' desc' : ''}`)
  const isOwn = typeof detail === 'object' && detail !== null && 'kind' in detail
  const list = args.map(a => printExpr(a))
  if (detail !== null) list.push(isOwn ? printName(detail.name) : JSON.stringify(detail))
  const by = terms.length === 0 ? '' : ` order by ${terms.join(', ')}`
  const where = filter === null ? '' : ` filter (${printExpr(filter)})`
  return `${fn}(${distinct ? 'distinct ' : ''}${list.join(', ')}${by})${where}`
}

const printKeys = ({ on, nullSafe }: Pick<JoinRel, 'on' | 'nullSafe'>, sides: PrintOptions): string[] =>
  on.map(([a, b], i) => `${printExpr(a, sides)} ${nullSafe[i] ? '===' : '=='} ${printExpr(b, sides)}`)

/** What a node does, in one line, without its inputs. */
export function printNode(rel: Rel): string {
  const sides: PrintOptions = { inputs: ['left', 'right'] }
  switch (rel.kind) {
    case 'source':
      return `${rel.relation.kind} ${printName(rel.relation.schema.name)}`
    case 'filter':
      return `filter ${printExpr(rel.predicate)}`
    case 'map':
      return `map ${printColumns(rel, rel.exprs)}`
    case 'clamp':
      return `clamp ${rel.mode}`
    case 'set':
      return rel.op
    case 'join': {
      const on = printKeys(rel, sides)
      const residual = rel.residual === null ? '' : ` where ${printExpr(rel.residual, sides)}`
      return `${rel.type} join on ${on.join(' && ')}${residual} → ${printColumns(rel, rel.exprs, sides)}`
    }
    case 'aggregate':
      return `aggregate by (${rel.keys.map(k => printExpr(k)).join(', ')}): ${rel.aggregates.map(printAggregate).join(', ')}`
    case 'asOf': {
      const on = printKeys(rel, sides)
      const times = `${printExpr(rel.times[1], sides)} ${INFIX[rel.op]?.[0]} ${printExpr(rel.times[0], sides)}`
      return `${rel.type} as-of join on ${[...on, times].join(' && ')} → ${printColumns(rel, rel.exprs, sides)}`
    }
    case 'successor':
      return `${rel.backwards ? 'previous' : 'next'} ${printExpr(rel.order)} by (${rel.keys.map(k => printExpr(k)).join(', ')})`
    case 'gate':
      return `gate ${printExpr(rel.key)} ${INFIX[rel.op]?.[0]} ${printBound(rel.threshold)}`
    case 'session': {
      const by = rel.keys.length === 0 ? '' : ` by (${rel.keys.map(k => printExpr(k)).join(', ')})`
      return `session ${printExpr(rel.at)} gap ${rel.gap}${by}`
    }
    case 'unnest':
      return `${rel.outer ? 'outer ' : ''}unnest ${printExpr(rel.array)}${rel.ordinality ? ' with ordinality' : ''}`
    case 'topK': {
      const order = rel.order.map(o => `${printExpr(o.expr)}${o.descending ? ' desc' : ''}`).join(', ')
      return `top ${rel.limit} of (${rel.keys.map(k => printExpr(k)).join(', ')}) by ${order}`
    }
    case 'window': {
      const order = rel.order.map(o => `${printExpr(o.expr)}${orderText(o)}`).join(', ')
      const by = rel.partition.map(k => printExpr(k)).join(', ')
      return `window of (${by}) by (${order}): ${rel.functions.map(printWindowFunction).join(', ')}`
    }
    case 'recursive':
      return `recursive ${printName(rel.program.names[rel.index])}`
    case 'fixpoint':
      return `fixpoint of ${rel.loop.program.names.map(printName).join(', ')}`
    case 'result':
      return `relation ${rel.index} of it`
    default:
      return rel.kind
  }
}

const orderText = ({ expr, descending, nullsFirst }: WindowOrder): string => {
  const nulls = expr.nullable && nullsFirst === descending ? ` nulls ${nullsFirst ? 'first' : 'last'}` : ''
  return `${descending ? ' desc' : ''}${nulls}`
}

/** `total = sum(amount) over rows 2 preceding to current`. */
export function printWindowFunction(spec: WindowSpec): string {
  const over = isRank(spec.fn) || isOffset(spec.fn) ? '' : ` over ${frameText(spec.frame)}`
  if (spec.aggregate !== undefined) return `${printName(spec.name)} = ${printAggregate(spec.aggregate)}${over}`
  const args = [...windowExprs(spec).map(e => printExpr(e)), ...(spec.n > 0 ? [String(spec.n)] : [])].join(', ')
  const nulls = spec.ignoreNulls ? ' ignore nulls' : ''
  return `${printName(spec.name)} = ${spec.fn}(${args || (spec.fn === 'count' ? '*' : '')})${nulls}${over}`
}

/** `{ a, b: c + 1 }`: what each output column is computed from. */
export function printColumns(rel: Rel, exprs: readonly Expr[], options: PrintOptions = {}): string {
  const columns = rel.schema.columns.map((c, i) => {
    const name = printName(c.name)
    const value = printExpr(exprs[i], options)
    return name === value ? name : `${name}: ${value}`
  })
  return `{ ${columns.join(', ')} }`
}

/**
 * The circuit as an indented tree, a node above its inputs. A node that is used several times has a number, `#1`,
 * and is written out the first time only.
 */
export function printRel(root: Rel): string {
  const readers = new Map<Rel, number>()
  for (const rel of nodesOf(root)) for (const input of inputsOf(rel)) readers.set(input, (readers.get(input) ?? 0) + 1)
  const numbers = new Map<Rel, number>()
  const lines: string[] = []
  const visit = (rel: Rel, depth: number): void => {
    const indent = '  '.repeat(depth)
    const known = numbers.get(rel)
    if (known !== undefined) {
      lines.push(`${indent}#${known} (see above)`)
      return
    }
    let tag = ''
    if ((readers.get(rel) ?? 0) > 1 && rel.kind !== 'source') {
      numbers.set(rel, numbers.size + 1)
      tag = `#${numbers.size} `
    }
    lines.push(`${indent}${tag}${printNode(rel)}`)
    for (const input of inputsOf(rel)) visit(input, depth + 1)
  }
  visit(root, 0)
  return lines.join('\n')
}
