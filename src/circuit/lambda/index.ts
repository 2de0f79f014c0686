/**
 * Lambdas of the builder: from a function, the schemas of its rows and its ctx object to expressions.
 *
 * The language: literals, columns of the row parameters (also destructured), values and functions of the ctx
 * parameter, arithmetic, comparison, `&& || ! ?: ??`, string methods, `Math`, `Number`, `BigInt`, `String`, object
 * literals where columns are made, and a body of `const`s, `if`s and returns.
 */
import { CompileError, quote, show } from '../../base/errors.js'
import type { RowSchema } from '../../schema/schema.js'
import type { Expr } from '../expr.js'
import { isUntypedNull } from '../literals.js'
import { mentionsNow } from '../now.js'
import { condition } from '../typing.js'
import { Lowerer } from './lower.js'
import { fieldsOf, type Meaning, rowMeaning, Scope } from './meaning.js'
import { parseLambda } from './parse.js'
import { bind, lowerBody } from './statements.js'

export interface LambdaSource {
  readonly fn: unknown
  /** The ctx object, or undefined. */
  readonly ctx: unknown
  /** Schemas of the row parameters: one, two for joins, or more, whose columns the caller finds by `input`. */
  readonly rows: readonly RowSchema[]
  /** For messages: "filter". */
  readonly what: string
  /** The present time may occur. */
  readonly now?: boolean
}

export interface NamedExpr {
  readonly name: string
  readonly expr: Expr
}

interface Lowered {
  readonly lowerer: Lowerer
  readonly result: Meaning
}

function lowerLambda(source: LambdaSource): Lowered {
  const { rows, what } = source
  const lambda = parseLambda(source.fn, `${what} lambda`)
  const ctx = source.ctx === undefined ? {} : source.ctx
  if (typeof ctx !== 'object' || ctx === null || Array.isArray(ctx)) {
    throw new CompileError(`${what}: expected the ctx object after the lambda, found ${show(ctx)}`)
  }
  const lowerer = new Lowerer(lambda, new Scope())
  const expected = `${rows.length === 1 ? 'the row' : rows.length === 2 ? 'two rows' : `${rows.length} rows`} and ctx`
  for (const [i, param] of lambda.params.entries()) {
    if (i > rows.length) lowerer.fail(param, `expected at most ${rows.length + 1} parameters: ${expected}`)
    const row = i < rows.length ? rowMeaning(rows[i], i as 0 | 1) : null
    bind(lowerer, param, row ?? { kind: 'context', value: ctx, path: 'ctx' })
  }
  try {
    return { lowerer, result: lowerBody(lowerer, lambda.body) }
  } catch (thrown) {
    // The stack is what limits the depth; there is no better measure of it.
    if (thrown instanceof RangeError) throw new CompileError(`${what} lambda: the expression is nested too deeply`)
    throw thrown
  }
}

/** A lambda that gives one value. Throws CompileError with a code frame. */
export function valueLambda(source: LambdaSource): Expr {
  const { lowerer, result } = lowerLambda(source)
  const { body } = lowerer.lambda
  const expr = lowerer.toExpr(result, body)
  if (isUntypedNull(expr)) lowerer.fail(body, 'the value is always null', 'give it a type with a cast from `fn`')
  return timeless(lowerer, source, expr)
}

/** A lambda that gives a condition: TRUE keeps, FALSE and NULL do not. */
export function conditionLambda(source: LambdaSource): Expr {
  const { lowerer, result } = lowerLambda(source)
  const { body } = lowerer.lambda
  return lowerer.at(body, () => timeless(lowerer, source, condition(lowerer.toExpr(result, body), source.what)))
}

/** Everything but a filter would have to be computed again all the time. */
function timeless(lowerer: Lowerer, { now = false }: LambdaSource, expr: Expr): Expr {
  if (!now && mentionsNow(expr)) {
    lowerer.fail(lowerer.lambda.body, 'now() can be used in comparisons of filters only')
  }
  return expr
}

/** A lambda that gives the columns of a new row. ENSURES: at least one, names distinct and not empty. */
export function columnsLambda(source: LambdaSource): NamedExpr[] {
  const { lowerer, result } = lowerLambda(source)
  const { body } = lowerer.lambda
  if (result.kind !== 'row' && result.kind !== 'object') {
    return lowerer.fail(
      body,
      `expected an object of columns, found ${describe(result)}`,
      'write row => ({ name: value, … })',
    )
  }
  const fields = [...fieldsOf(result)].map(([name, expr]) => ({ name, expr }))
  if (fields.length === 0) lowerer.fail(body, 'expected at least one column, found none')
  for (const { name, expr } of fields) {
    if (name === '') lowerer.fail(body, 'a column needs a non-empty name')
    timeless(lowerer, source, expr)
    if (isUntypedNull(expr)) {
      lowerer.fail(body, `column ${quote(name)} is always null`, 'give it a type with a cast from `fn`, e.g. i64(null)')
    }
  }
  return fields
}

function describe(m: Meaning): string {
  if (m.kind === 'expr') return `a single value (${m.expr.type})`
  return m.kind === 'global' ? m.name : 'a value of ctx'
}
