/**
 * `gnitz/streams`: streams and their operators beneath the views, as in DBSP's paper. Views are the way to keep results
 * of queries up to date; this is for what is no query, for trying things out, and for operators of one's own.
 */
export {
  booleans,
  type Group,
  i64Ring,
  integers,
  type Monoid,
  minPlus,
  pairs,
  type Ring,
  type Semigroup,
  type Semiring,
} from './algebra.js'
export { changesOf, type Followed, writeTo } from './bridge.js'
export { type IterateOptions, type Iteration, iterate, NestedCircuit, recursive } from './nested.js'
export { type Bilinear, Circuit, Condition, GroupStream, Input, type Linear, Stream } from './stream.js'
export { Relations, type Weighted, type WeightedEntry } from './weighted.js'
export { type WeightedRow, type ZSet, ZSets, zsets } from './zset.js'
