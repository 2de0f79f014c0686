/**
 * From a function to its syntax tree: `fn.toString()` read by acorn.
 *
 * The text is whatever the tools between the author and the run made of it, so all forms are taken: arrow functions,
 * function expressions and methods. Functions without source (native, bound) have nothing to read and are refused.
 */
import { type BlockStatement, type Expression, type Options, type Pattern, parse } from 'acorn'
import { CompileError, show } from '../../base/errors.js'
import { codeFrame } from './frame.js'

/** Any function: its parameters are not looked at, only its text is. */
export type AnyFunction = (...args: never[]) => unknown

/** A place in the source: what acorn's nodes carry. */
export interface Place {
  readonly start: number
  readonly end: number
}

export interface Lambda {
  /** What it is, for messages: "filter lambda". */
  readonly what: string
  readonly params: readonly Pattern[]
  readonly body: Expression | BlockStatement
  /** An error with a code frame at `place`. */
  readonly error: (place: Place, problem: string, hint?: string) => CompileError
}

export const UDF_HINT = 'expressions cover a part of JavaScript; for anything else pass udf(...) through the ctx object'

const OPTIONS: Options = { ecmaVersion: 'latest', sourceType: 'script' }

/**
 * Reads a lambda. Throws CompileError if `fn` is not a function, has no source, or is async, a generator or a class.
 */
export function parseLambda(fn: unknown, what: string): Lambda {
  if (typeof fn !== 'function') throw new CompileError(`${what}: expected a function, found ${show(fn)}`)
  const source = Function.prototype.toString.call(fn)
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw new CompileError(`${what}: the source of a native or bound function cannot be read`, {
      hint: 'write the function in place, e.g. row => row.amount > 0n; values come through the ctx object',
    })
  }
  const { node, shift } = readFunction(source, what)
  const error = (place: Place, problem: string, hint?: string) =>
    new CompileError(`${what}: ${problem}`, {
      frame: codeFrame(source, place.start - shift, place.end - shift),
      ...(hint === undefined ? {} : { hint }),
    })
  if (node.type !== 'ArrowFunctionExpression' && node.type !== 'FunctionExpression') {
    throw error(node, 'expected a function like row => row.amount > 0n', UDF_HINT)
  }
  if (node.async === true) throw error(node, 'an async function has no value for a row', UDF_HINT)
  if (node.generator === true) throw error(node, 'a generator has no value for a row', UDF_HINT)
  return { what, params: node.params, body: node.body, error }
}

/** The text as an expression, or as a method of an object; `shift` is what was put in front of it. */
function readFunction(source: string, what: string): { node: Expression; shift: number } {
  const attempts: readonly (readonly [string, string])[] = [
    ['(', '\n)'],
    ['({', '\n})'],
  ]
  let failure: unknown = null
  for (const [before, after] of attempts) {
    try {
      const [statement] = parse(before + source + after, OPTIONS).body
      const node = statement.type === 'ExpressionStatement' ? statement.expression : null
      const method = node?.type === 'ObjectExpression' ? node.properties[0] : null
      if (method?.type === 'Property' && (method.method || method.kind !== 'init')) {
        return { node: method.value, shift: before.length }
      }
      if (node !== null) return { node, shift: before.length }
    } catch (thrown) {
      failure ??= thrown
    }
  }
  const at = (failure as { pos?: number } | null)?.pos ?? 0
  const frame = codeFrame(source, Math.max(0, at - 1), at)
  throw new CompileError(`${what}: its source cannot be read: ${reason(failure)}`, { frame })
}

const reason = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
