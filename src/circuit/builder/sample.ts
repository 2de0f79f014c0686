/**
 * Random samples: the rows with the least hashes of a group (bottom-k). Which rows those are follows from the rows and
 * the seed alone, so a sample is the same however it came about; a retraction of a row in it lets the next one in.
 */
import { CompileError, show } from '../../base/errors.js'
import type { Expr } from '../expr.js'
import type { OrderTerm, Rel } from '../rel.js'
import { builtInUdf } from '../scalar/built-in.js'
import { allColumns, call } from '../substitute.js'
import { checkOptions } from './check.js'

export interface SampleOptions {
  /** Which of all samples, default 0: an integer of 32 bits. */
  readonly seed?: number
}

/** Rows in the order of their hashes. Throws CompileError on a seed that is none. */
export function hashOrder(input: Rel, options: SampleOptions): OrderTerm[] {
  checkOptions('sample', options, ['seed'])
  const { seed = 0 } = options
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new CompileError(`sample: expected a seed from 0 to 4294967295, found ${show(seed)}`)
  }
  const columns = allColumns(input.schema)
  const hash: Expr = { ...call('udf', columns, 'u64'), nullable: false, udf: builtInUdf(`gnitz hash ${seed}`) }
  return [Object.freeze({ expr: hash, descending: false })]
}
