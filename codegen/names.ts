/**
 * Names of locals in generated code. Column and table names come from users and may be anything, so a name is
 * reduced to `[A-Za-z0-9_]`, is never a reserved word or a global, and is made unique where it is declared.
 */

const RESERVED = new Set(
  (
    'arguments async await break case catch class const continue debugger default delete do else enum eval export ' +
    'extends false finally for function if implements import in instanceof interface let new null package private ' +
    'protected public return static super switch this throw true try typeof var void while with yield globalThis ' +
    'constructor prototype __proto__'
  ).split(' '),
)

/** Globals that templates and generated code may use; no local ever takes one of these names. */
export const GLOBALS: ReadonlySet<string> = new Set(
  (
    'undefined NaN Infinity Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date Error ' +
    'Float32Array Float64Array Int8Array Int16Array Int32Array JSON Map Math Number Object RangeError Set String ' +
    'Symbol TextDecoder TextEncoder TypeError Uint8Array Uint16Array Uint32Array Uint8ClampedArray WeakMap ' +
    'isFinite isNaN'
  ).split(' '),
)

const MAX_LENGTH = 32
/** What `safeName` leaves as it is, reserved words aside. */
const SAFE = /^[A-Za-z](?:[A-Za-z0-9_]{0,30}[A-Za-z0-9])?$/

/** An identifier that resembles `hint`: ASCII letters, digits and `_`, at most 32 long, not reserved, not a global. */
export function safeName(hint: string): string {
  if (SAFE.test(hint) && !RESERVED.has(hint) && !GLOBALS.has(hint)) return hint
  const reduced = hint
    .slice(0, 4 * MAX_LENGTH)
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .slice(0, MAX_LENGTH)
  const trimmed = /^_+$/.test(reduced) ? '' : reduced.replace(/^_+(?=[A-Za-z])|_+$/g, '')
  if (trimmed === '') return 'x'
  const named = /^[0-9]/.test(trimmed) ? `_${trimmed}`.slice(0, MAX_LENGTH) : trimmed
  return RESERVED.has(named) || GLOBALS.has(named) ? `${named.slice(0, MAX_LENGTH - 1)}_` : named
}

/** The part of a composed name (`left_price`) that comes from a user: shorter, so that the other parts survive. */
export function hintPart(text: string): string {
  return text
    .slice(0, 80)
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .slice(0, 20)
    .replace(/^_+|_+$/g, '')
}

/**
 * The names declared in one block of the output, linked to the blocks around it. A name is free if no block that is
 * still open has it: closed blocks may have used it, since nothing outside refers to their locals.
 */
export class NameScope {
  /** Made when there is something to put in: most blocks declare nothing. */
  private names: Set<string> | null = null

  constructor(readonly parent: NameScope | null) {}

  has(name: string): boolean {
    for (let scope: NameScope | null = this; scope !== null; scope = scope.parent) {
      if (scope.names?.has(name)) return true
    }
    return false
  }

  add(name: string): void {
    this.names ??= new Set()
    this.names.add(name)
  }

  /** A name like `hint` that is free here; it is declared in `owner`, which is this scope or one around it. */
  fresh(hint: string, owner: NameScope = this): string {
    const base = safeName(hint)
    let name = base
    for (let n = 2; this.has(name); n++) name = `${base}_${n}`
    owner.add(name)
    return name
  }
}
