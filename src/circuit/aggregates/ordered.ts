/** Aggregates that read their group's rows in an order. */
import type { AggregateDefinition } from './definition.js'
import { ANY } from './types.js'

const ASCENDING = [{ at: 0, descending: false }]

const extreme = (read: 'first' | 'last'): AggregateDefinition => ({
  args: [ANY],
  type: ([type]) => type,
  plan: { kind: 'ordered', required: [0], terms: ASCENDING, read, value: 0 },
})

/** The least value, over those whose weights add up to more than 0. */
export const min = extreme('first')
/** The greatest. */
export const max = extreme('last')
