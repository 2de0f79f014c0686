/**
 * How an expression says that it has no value for a row. Not an Error: failures are data, often many, and a stack
 * trace each would cost far more than the row.
 */
export class Failure {
  readonly message: string
  /** What the expression was written for, if the interpreter found it: see `origin.ts`. */
  origin: string | null = null
  constructor(message: string) {
    this.message = message
  }
}

/** Throws a Failure. */
export function fail(message: string): never {
  throw new Failure(message)
}
