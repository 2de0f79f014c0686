/** Reads a template's source into ESTree, and reports problems with the place in that source. */
import { parseExpressionAt } from 'acorn'
import type { ArrowFunctionExpression, FunctionExpression, Identifier, Node } from 'estree'
import { CompileError, quote } from '../../src/base/errors.js'
import { PARSED } from './parsed.js'
import { someNode } from './tree.js'
import type { Template } from './types.js'

export interface ParsedTemplate {
  readonly name: string
  readonly source: string
  readonly fn: FunctionExpression | ArrowFunctionExpression
  readonly params: readonly Identifier[]
  /** Names that are assigned somewhere in the body; a name is taken for assigned wherever it is declared. */
  readonly assigned: ReadonlySet<string>
}

const cache = new WeakMap<Template, ParsedTemplate>()

/** Parses the template's own text (`Function.prototype.toString`). Throws CompileError if it is not a plain function. */
export function parseTemplate(template: Template): ParsedTemplate {
  const known = cache.get(template)
  if (known !== undefined) return known
  const source = Function.prototype.toString.call(template)
  const name = template.name === '' ? '(anonymous)' : template.name
  const { fn, assigned } = parseFunction(name, source)
  const parsed: ParsedTemplate = { name, source, fn, params: [], assigned: new Set(assigned) }
  const complete = { ...parsed, params: fn.params.map(param => plainParameter(parsed, param)) }
  cache.set(template, complete)
  return complete
}

/** A template as the build leaves it in parsed.ts. */
export interface Prepared {
  readonly fn: FunctionExpression | ArrowFunctionExpression
  readonly assigned: readonly string[]
}

function parseFunction(name: string, source: string): Prepared {
  const json = PARSED.get(source)
  if (json !== undefined) return JSON.parse(json) as Prepared
  let node: Node
  try {
    node = parseExpressionAt(source, 0, { ecmaVersion: 2022 }) as unknown as Node
  } catch (error) {
    throw new CompileError(`template ${quote(name)} cannot be read: ${String(error)}`)
  }
  if (node.type !== 'FunctionExpression' && node.type !== 'ArrowFunctionExpression') {
    throw new CompileError(`template ${quote(name)}: expected a function or arrow function, found ${node.type}`)
  }
  if (node.async === true || node.generator === true) {
    throw new CompileError(`template ${quote(name)}: expected a plain function, found an async one or a generator`)
  }
  return { fn: node, assigned: assignedNames(node.body) }
}

/** What the build puts into parsed.ts: null for what is no plain function. */
export function prepare(source: string): string | null {
  try {
    // What is absent counts as false, the value of a big integer follows from its digits, and `end` serves nobody.
    return JSON.stringify(parseFunction('', source), (key, value) =>
      key === 'end' || key === 'raw' || typeof value === 'bigint' || (value === false && key !== 'value')
        ? undefined
        : value,
    )
  } catch (error) {
    if (error instanceof CompileError) return null
    throw error
  }
}

function plainParameter(template: ParsedTemplate, param: Node): Identifier {
  if (param.type === 'Identifier') return param
  throw problem(template, param, 'expected parameters that are plain names, found a pattern, default or rest')
}

/** The error for something at `node`: template name, line, column and a code frame. */
export function problem(template: ParsedTemplate, node: Node, what: string, hint?: string): CompileError {
  const { start } = node as Node & { start?: number }
  if (start === undefined) return new CompileError(`template ${quote(template.name)}: ${what}`, { hint })
  const before = template.source.slice(0, start).split('\n')
  const line = before.length
  const column = before[line - 1].length
  const gutter = `${line} | `
  const frame = `${gutter}${template.source.split('\n')[line - 1]}\n${' '.repeat(gutter.length + column)}^`
  return new CompileError(`template ${quote(template.name)}, line ${line}, column ${column + 1}: ${what}`, {
    frame,
    hint,
  })
}

function assignedNames(body: Node): string[] {
  const names = new Set<string>()
  someNode(body, node => {
    const target =
      node.type === 'AssignmentExpression' ? node.left : node.type === 'UpdateExpression' ? node.argument : null
    if (target?.type === 'Identifier') names.add(target.name)
    return false
  })
  return [...names]
}
