/**
 * Sums and means of intervals. Months, days and microseconds are kept apart, as they are in PostgreSQL: each adds up by
 * itself, and a mean is the sum divided, what is left of months being days, of days time. Users ask for `sum` and `avg`.
 */
import { quote } from '../../base/errors.js'
import type { TypeName } from '../../schema/types.js'
import { summedInterval, temporalArithmetic } from '../scalar/temporal.js'
import { detailed } from '../substitute.js'
import type { AggregateDefinition, Linear } from './definition.js'
import { INTERVALS } from './types.js'

const PARTS: readonly (readonly [string, TypeName])[] = [
  ['intervalMonths', 'i32'],
  ['intervalDays', 'i32'],
  ['intervalMicros', 'i64'],
]

function ofParts(called: string, finish: (sum: Uint8Array, n: bigint) => Uint8Array): AggregateDefinition {
  const plan: Linear = {
    kind: 'linear',
    columns: ([interval]) => PARTS.map(([part, type]) => detailed('function', part, [interval], type)),
    accumulators: () => PARTS.map((_, at) => ({ kind: 'int', at: [at] })),
    finish: (state, _types, _detail, name) => {
      const [months, days, micros] = [state.int(0), state.int(1), state.int(2)]
      return finish(summedInterval(months, days, micros, `${called} ${quote(name)}`), state.n)
    },
  }
  return { called, args: [INTERVALS], type: () => 'interval', plan, canFail: () => true }
}

export const intervalSum = ofParts('sum', sum => sum)
export const intervalAvg = ofParts('avg', (sum, n) => meanInterval(sum, n))

/** A sum of intervals divided by their number. */
export const meanInterval = (sum: Uint8Array, n: bigint): Uint8Array =>
  temporalArithmetic('div', ['interval', 'f64'], sum, Number(n)) as Uint8Array
