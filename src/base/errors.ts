/**
 * Every error that gnitz throws on purpose. `code` is stable and meant for programs, `message` for people:
 * what was expected, what was found, and where.
 */

export type ErrorCode =
  | 'SCHEMA' // a table or view definition that cannot be
  | 'ROW' // a row or column array that does not fit its table
  | 'COMPILE' // a lambda or circuit outside the language
  | 'WEIGHT_OVERFLOW' // a weight that left the i64 range
  | 'USAGE' // a call at the wrong time or with the wrong object
  | 'CONFLICT' // a transaction read or wrote what another has changed meanwhile; to be run again
  | 'TOO_OLD' // a transaction that was open for so long that it cannot be checked any more
  | 'CONSTRAINT' // a transaction, or rows that are there, against a constraint
  | 'EXPRESSION' // an expression that failed on a row; kept as data, raised on read
  | 'CORRUPT' // bytes on disk that cannot be what was written
  | 'FORMAT' // files of another version, another schema or another program
  | 'IO' // the operating system refused
  | 'NO_SPACE' // the disk is full; nothing acknowledged is lost, and writing resumes when there is room
  | 'KEY' // files that are encrypted, and a key that is missing or another one
  | 'LOCKED' // another process writes to the directory
  | 'INTERNAL' // an invariant of gnitz itself is broken

/** Base class: `error instanceof GnitzError` tells ours from the rest. */
export class GnitzError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

export class SchemaError extends GnitzError {
  constructor(message: string) {
    super('SCHEMA', message)
  }
}

/** A row that was refused. Nothing of its transaction was applied. */
export class RowError extends GnitzError {
  readonly table: string
  readonly column: string | null
  readonly row: number | null
  constructor(table: string, column: string | null, row: number | null, problem: string) {
    const where = [
      `table ${quote(table)}`,
      ...(column === null ? [] : [`column ${quote(column)}`]),
      ...(row === null ? [] : [`row ${row}`]),
    ]
    super('ROW', `${where.join(', ')}: ${problem}`)
    this.table = table
    this.column = column
    this.row = row
  }
}

/** A lambda or circuit that cannot be compiled. `frame` shows the place in the user's source, if there is one. */
export class CompileError extends GnitzError {
  readonly frame: string | null
  readonly hint: string | null
  constructor(
    private readonly problem: string,
    details: { frame?: string | null; hint?: string | null } = {},
  ) {
    super('COMPILE', [problem, details.frame, details.hint && `hint: ${details.hint}`].filter(Boolean).join('\n'))
    this.frame = details.frame ?? null
    this.hint = details.hint ?? null
  }

  /** The same, met in `what`. Its stack is that of the first one, which shows the operator in the user's program. */
  within(what: string): CompileError {
    const named = new CompileError(`${what}: ${this.problem}`, this)
    if (this.stack !== undefined) named.stack = this.stack.replace(this.message, () => named.message)
    return named
  }
}

export class WeightOverflowError extends GnitzError {
  constructor(where: string) {
    super('WEIGHT_OVERFLOW', `${where}: a weight left the range of a 64-bit integer; nothing was applied`)
  }
}

export class UsageError extends GnitzError {
  constructor(message: string) {
    super('USAGE', message)
  }
}

/**
 * What a transaction has read or written was changed by another one before it could commit. Nothing of it was applied:
 * run it again.
 */
export class ConflictError extends GnitzError {
  constructor(
    /** The table or view. */
    readonly table: string,
    /** The key of the row, by columns. */
    readonly key: Readonly<Record<string, unknown>>,
    /** The state that the transaction saw. */
    readonly snapshotLsn: bigint,
    /** The last transaction that changed the table since. */
    readonly conflictingLsn: bigint,
    what: 'read' | 'wrote',
  ) {
    const row = Object.entries(key).map(([name, value]) => `${quote(name)} = ${keyText(value)}`)
    super(
      'CONFLICT',
      `${quote(table)}: the transaction ${what} the key ${row.join(', ')} as of transaction ${snapshotLsn}, and it has ` +
        `changed since, up to transaction ${conflictingLsn}; nothing was applied: run it again`,
    )
  }
}

function keyText(value: unknown): string {
  return value instanceof Uint8Array ? `bytes of length ${value.length}` : show(value)
}

/** A transaction was open while more changed than is kept for it. Nothing of it was applied. */
export class TransactionTooOldError extends GnitzError {
  constructor(
    readonly snapshotLsn: bigint,
    limit: number,
  ) {
    super(
      'TOO_OLD',
      `snapshot too old: the transaction that began at transaction ${snapshotLsn} was open while more than ${limit} rows ` +
        'changed, which is all that is kept for it; nothing was applied: commit or roll back sooner, or open the ' +
        'database with more historyRows',
    )
  }
}

export type ConstraintKind = 'check' | 'unique' | 'foreignKey'

/** What a constraint objects to. Rows are plain objects, as they are read. */
export interface Violation {
  readonly constraint: string
  readonly kind: ConstraintKind
  readonly table: string
  /** The columns, or expressions, that the constraint is about. */
  readonly columns: readonly string[]
  readonly row: Readonly<Record<string, unknown>>
  /** Of a UNIQUE constraint: the row it collides with, unless it is the same row once more. */
  readonly other: Readonly<Record<string, unknown>> | null
  /** Of a foreign key: the table and the values that are missing there. */
  readonly parent: { readonly table: string; readonly key: Readonly<Record<string, unknown>> } | null
}

/** A transaction that a constraint refuses; nothing of it was applied. Or a constraint that rows refuse. */
export class ConstraintError extends GnitzError implements Violation {
  readonly constraint: string
  readonly kind: ConstraintKind
  readonly table: string
  readonly columns: readonly string[]
  readonly row: Violation['row']
  readonly other: Violation['other']
  readonly parent: Violation['parent']
  /** The first violations, this one included: several where a constraint is put on rows that are there. */
  readonly violations: readonly Violation[]

  constructor(violation: Violation, problem: string, violations: readonly Violation[] = [violation]) {
    const what = `table ${quote(violation.table)}, constraint ${quote(violation.constraint)}`
    super('CONSTRAINT', `${what}: ${problem}`)
    this.constraint = violation.constraint
    this.kind = violation.kind
    this.table = violation.table
    this.columns = violation.columns
    this.row = violation.row
    this.other = violation.other
    this.parent = violation.parent
    this.violations = violations
  }
}

/** Thrown when a view that holds failed rows is read. The rows are listed by `view.errors()`. */
export class ExpressionError extends GnitzError {
  constructor(message: string) {
    super('EXPRESSION', message)
  }
}

/** Where in a file something was found. */
export interface FilePlace {
  readonly file: string
  /** Byte offset, or null if the whole file is meant. */
  readonly offset: number | null
}

function placed({ file, offset }: FilePlace, problem: string): string {
  return `${file}${offset === null ? '' : `, byte ${offset}`}: ${problem}`
}

/** Bytes that fail their checksum or break an invariant of the format. */
export class CorruptionError extends GnitzError implements FilePlace {
  readonly file: string
  readonly offset: number | null
  constructor(file: string, offset: number | null, problem: string) {
    super('CORRUPT', placed({ file, offset }, problem))
    this.file = file
    this.offset = offset
  }
}

/** A file that is sound, but not the one expected: another version, another schema, another table. */
export class FormatError extends GnitzError implements FilePlace {
  readonly file: string
  readonly offset: number | null
  constructor(file: string, offset: number | null, problem: string) {
    super('FORMAT', placed({ file, offset }, problem))
    this.file = file
    this.offset = offset
  }
}

/** The operating system refused. `errno` is its name for why: `EIO`, `EACCES`, … */
export class IoError extends GnitzError {
  readonly path: string
  readonly errno: string
  constructor(
    path: string,
    errno: string,
    problem: string,
    code: 'IO' | 'NO_SPACE' | 'LOCKED' = 'IO',
    cause?: unknown,
  ) {
    super(code, `${path}: ${problem}`, cause === undefined ? undefined : { cause })
    this.path = path
    this.errno = errno
  }
}

export class NoSpaceError extends IoError {
  constructor(path: string, problem: string, cause?: unknown) {
    super(path, 'ENOSPC', problem, 'NO_SPACE', cause)
  }
}

export class LockedError extends IoError {
  constructor(
    path: string,
    /** The process that holds the lock. */
    readonly pid: number,
  ) {
    super(path, 'EAGAIN', `process ${pid} is writing to this directory; only one may`, 'LOCKED')
  }
}

/** What is encrypted cannot be read: its key was not given, or is another one. */
export class KeyError extends GnitzError {
  constructor(
    readonly file: string,
    /** Number of the key that is wanted; null for the current one, whose number the provider has not told. */
    readonly keyId: number | null,
    problem: string,
    options?: ErrorOptions,
  ) {
    super('KEY', `${file}: ${problem}`, options)
  }
}

/** For invariants: `assert(cond, 'what must hold')`. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new GnitzError('INTERNAL', `internal invariant broken: ${what}`)
}

/** A name as it may appear in a message: JSON-quoted, so that newlines and control characters stay visible. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name)
}

/** A value as it may appear in a message: short, typed, never throwing. */
export function show(value: unknown): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'undefined':
      return 'undefined'
    case 'string':
      return `the string ${quote(value)}`
    case 'bigint':
      return `${value}n`
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'boolean':
      return String(value)
    case 'function':
      return 'a function'
    case 'symbol':
      return 'a symbol'
    default:
      return value instanceof Date ? `the Date ${String(value)}` : `an object (${constructorName(value)})`
  }
}

/** `show`, with the members of plain objects and lists: what a program wrote, not what it may hold in secret. */
export function showWhole(value: unknown): string {
  if (typeof value !== 'object' || value === null) return show(value)
  const part = (x: unknown): string => {
    if (typeof x === 'string') return quote(x)
    return Array.isArray(x) ? '[…]' : isPlain(x) ? '{…}' : show(x)
  }
  const list = (parts: readonly string[]): string =>
    [...parts.slice(0, 5), ...(parts.length > 5 ? ['…'] : [])].join(', ')
  if (Array.isArray(value)) return `[${list(value.map(part))}]`
  if (!isPlain(value)) return show(value)
  const members = Object.entries(value).map(([name, x]) => `${/^\w+$/.test(name) ? name : quote(name)}: ${part(x)}`)
  return members.length === 0 ? '{}' : `{ ${list(members)} }`
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

function constructorName(value: object): string {
  const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)?.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'null prototype'
}
