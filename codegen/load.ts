/**
 * Turns specialised functions into running code. This is the only place that compiles text.
 *
 * The text is printed from a tree whose names come from `names.ts` and whose values are literals, so nothing in it was
 * ever written by a user; unit, kernel and provenance, which may hold such names, are made safe here.
 */
import { generate } from 'astring'
import type { FunctionDeclaration, Node } from 'estree'
import { GnitzError, quote } from '../src/base/errors.js'
import { safeName } from './names.js'
import { renameVariables, someNode } from './specialise/tree.js'
import type { SpecialisedFunction } from './specialise/types.js'

export interface ModuleParts {
  /** Table or view that the code is for. */
  readonly unit: string
  readonly kernel: string
  /** Lines of the header comment: what the code was made from. */
  readonly provenance: readonly string[]
  readonly functions: readonly SpecialisedFunction[]
  /** Name of the function that `load` returns, as it was given to `specialise`. */
  readonly exports: string
}

export interface LoadOptions {
  /**
   * Modules of the same text share one function, and with it what the engine learnt about it. Default: true if there
   * are no constants; sharing is impossible if there are.
   */
  readonly share?: boolean
}

export interface Loaded<T> {
  readonly fn: T
  /** The text that runs. */
  readonly source: string
}

const shared = new Map<string, unknown>()
/** Texts that are remembered; then all are forgotten, which costs compiling them again. */
const MAX_SHARED = 4096
const CONSTANTS = '$constants'

/** The text of a tree, two spaces deep per level. */
export function print(ast: Node): string {
  return generate(ast)
}

/**
 * Compiles the functions as one module and returns the one called `exports`.
 *
 * Throws GnitzError (INTERNAL) if two functions have one name, if `exports` is none of them, or if `share` is asked
 * for although there are constants. The type `T` is the caller's claim.
 */
export function load<T>(parts: ModuleParts, options: LoadOptions = {}): Loaded<T> {
  const names = parts.functions.map(one => one.ast.id.name)
  if (new Set(names).size !== names.length)
    throw broken(parts, `expected different function names, found ${names.join(', ')}`)
  const exported = safeName(parts.exports)
  if (!names.includes(exported))
    throw broken(parts, `expected one of ${names.join(', ')} to be exported, found ${quote(parts.exports)}`)
  const { functions, constants } = linkConstants(parts.functions)
  const source = moduleText(parts, functions, [...constants.keys()], exported)
  if (constants.size > 0) {
    if (options.share === true) throw broken(parts, 'a module with constants cannot be shared')
    return { fn: compile(source, constants) as T, source }
  }
  if (options.share === false) return { fn: compile(source, constants) as T, source }
  const known = shared.get(source) ?? compile(source, constants)
  if (shared.size >= MAX_SHARED) shared.clear()
  shared.set(source, known)
  return { fn: known as T, source }
}

function broken(parts: ModuleParts, what: string): GnitzError {
  return new GnitzError('INTERNAL', `generated module ${quote(parts.unit)}/${quote(parts.kernel)}: ${what}`)
}

function compile(source: string, constants: ReadonlyMap<string, unknown>): unknown {
  const make = new Function(CONSTANTS, source) as (values: Record<string, unknown>) => unknown
  return make(Object.fromEntries(constants))
}

/** One set of constants for all functions: equal values share a name, and names that clash are changed. */
function linkConstants(parts: readonly SpecialisedFunction[]): {
  functions: FunctionDeclaration[]
  constants: Map<string, unknown>
} {
  // One function has no name twice: the specialiser saw to that.
  if (parts.length === 1) return { functions: [parts[0].ast], constants: new Map(parts[0].constants) }
  const taken = new Set<string>()
  for (const { ast } of parts) {
    someNode(ast, node => {
      if (node.type === 'Identifier') taken.add(node.name)
      return false
    })
  }
  const functionNames = new Set(parts.map(({ ast }) => ast.id.name))
  const constants = new Map<string, unknown>()
  const functions = parts.map(({ ast, constants: own }) => {
    const renamed = new Map<string, string>()
    for (const [name, value] of own) {
      const isFree = !functionNames.has(name) && (!constants.has(name) || constants.get(name) === value)
      const linked = isFree ? name : unused(name, taken)
      taken.add(linked)
      constants.set(linked, value)
      if (linked !== name) renamed.set(name, linked)
    }
    return renamed.size === 0 ? ast : renameVariables(ast, name => renamed.get(name) ?? name)
  })
  return { functions, constants }
}

function unused(name: string, taken: ReadonlySet<string>): string {
  for (let n = 2; ; n++) {
    const candidate = `${safeName(name)}_${n}`
    if (!taken.has(candidate)) return candidate
  }
}

function moduleText(
  parts: ModuleParts,
  functions: readonly FunctionDeclaration[],
  constants: readonly string[],
  exported: string,
): string {
  const header = ['gnitz: generated code', ...parts.provenance].map(line => ` * ${commentLine(line)}`.trimEnd())
  const imports = constants.length === 0 ? [] : [`const { ${constants.join(', ')} } = ${CONSTANTS};`, '']
  return [
    '/*',
    ...header,
    ' */',
    "'use strict';",
    '',
    ...imports,
    ...functions.flatMap(one => [print(one), '']),
    `return ${exported};`,
    `//# sourceURL=gnitz/${urlPart(parts.unit)}/${urlPart(parts.kernel)}.js`,
    '',
  ].join('\n')
}

/** One line of a block comment: nothing in it ends the comment, breaks the line or is invisible. */
function commentLine(text: string): string {
  if (/^[ -~]*$/.test(text)) return text.replaceAll('*/', '*\\/')
  const visible = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, c => {
    return `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`
  })
  return visible.replaceAll('*/', '*\\/')
}

/** A segment of a source URL: percent-encoded, without quotes, blanks, slashes or unpaired surrogates. */
function urlPart(text: string): string {
  if (/^\w+$/.test(text)) return text
  const paired = text.replace(/\p{Cs}/gu, '\ufffd')
  const encoded = encodeURIComponent(paired).replace(/['()*!~]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  return encoded === '.' || encoded === '..' ? encoded.replaceAll('.', '%2E') : encoded
}
