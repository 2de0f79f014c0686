/** Transactions of async functions: run again when others came in between. */
import { ConflictError, show, UsageError } from '../../base/errors.js'
import type { Transaction } from '../transaction.js'

export interface TransactOptions {
  /** How often a transaction of an async function is run again after a conflict: 10 times unless said otherwise. */
  readonly retries?: number
}

/** How often a transaction is run again unless it is told otherwise. */
export const DEFAULT_RETRIES = 10
/** The longest wait before another run, in milliseconds. */
const LONGEST_MS = 50

/** A run of the function: its transaction and what it returned. */
export interface Run {
  readonly tx: Transaction
  readonly result: unknown
}

/** Throws UsageError unless `retries` is a whole number. */
export function retriesOf(options: TransactOptions | undefined): number {
  const retries = options?.retries
  if (retries === undefined) return DEFAULT_RETRIES
  if (Number.isSafeInteger(retries) && retries >= 0) return retries
  throw new UsageError(`transact: expected retries to be a whole number, found ${show(retries)}`)
}

/** Runs the function in a transaction that has begun. */
export function begun(tx: Transaction, write: (tx: Transaction) => unknown): Run {
  try {
    return { tx, result: write(tx) }
  } catch (error) {
    tx.end('was given up')
    throw error
  }
}

/** Waits for the function and commits; on a conflict, `again` runs it anew, up to `retries` times. */
export async function settle<C>(
  first: Run,
  again: () => Run,
  commit: (tx: Transaction) => C,
  retries: number,
): Promise<Awaited<C>> {
  for (let run = first, attempt = 0; ; attempt++) {
    try {
      await run.result
      return await commit(run.tx)
    } catch (error) {
      run.tx.end('was given up')
      if (!(error instanceof ConflictError) || attempt >= retries) throw error
    }
    await pause(attempt)
    run = again()
  }
}

/** Waits for a random time, longer with every attempt, so that transactions in each other's way get out of step. */
function pause(attempt: number): Promise<void> {
  const longest = Math.min(LONGEST_MS, 2 ** attempt)
  return new Promise(resolve => {
    setTimeout(resolve, Math.random() * longest)
  })
}
