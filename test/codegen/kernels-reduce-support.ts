/** Group tables run by their generated loops alone, for the tests of aggregation. */
import type { Mode } from '../../codegen/build.js'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { accumulateCode, type ReduceSpec, settleCode } from '../../codegen/reduce.js'
import type { AggregateRel } from '../../src/circuit/rel.js'
import { ErrorSet } from '../../src/engine/errors.js'
import type { FetchGroups, PairsAccumulate, ScanAccumulate } from '../../src/engine/operators/feed.js'
import type { ReduceCode } from '../../src/engine/operators/reduce.js'
import { planAggregate } from '../../src/engine/plan-aggregate.js'
import { arrangedLayout, flatLayout } from '../../src/schema/schema.js'
import { nodes } from '../../src/testing/index.js'
import { Batch } from '../../src/zset/batch.js'
import { GroupTable } from '../../src/zset/groups.js'
import { usedLanes, wordsOf } from '../../src/zset/records.js'
import { contents, MODES, schemaOf, textOf, type Weighted } from '../zset/support.js'

export const table = nodes.table('t', [
  ['g', 'i16'],
  ['h', 'string', true],
  ['f', 'f64'],
  ['a', 'i32'],
  ['b', 'u64', true],
  ['c', 'i64'],
  ['d', 'f64', true],
  ['e', 'f32'],
])
export const { schema } = table
export const flat = flatLayout(schema)
export const col = (name: string) =>
  nodes.column(
    schema,
    schema.columns.findIndex(c => c.name === name),
  )
export const ARGUMENTS = ['a', 'b', 'c', 'd', 'e']

/** Count, sum and avg of everything. */
function aggregateBy(keys: readonly string[]): AggregateRel {
  const all = ARGUMENTS.flatMap(name => [
    [`sum ${name}`, 'sum', col(name)] as const,
    [`avg ${name}`, 'avg', col(name)] as const,
  ])
  return nodes.aggregate(
    nodes.source(table),
    keys.map(key => [key, col(key)] as const),
    [['n', 'count', null], ['nb', 'count', col('b')], ...all],
  )
}

/** As the planner does it, but that hashes may collide. */
function specFor(rel: AggregateRel, collide: boolean): ReduceSpec {
  const plan = planAggregate(rel)
  const keys = rel.keys.map((_, k) => k)
  // The hash of nothing is the same for every group.
  const keyLayout = arrangedLayout(plan.pipeline.schema, collide ? [] : keys)
  return { ...plan, keyLayout, keyCount: keys.length, schema: rel.schema }
}

type SettleCode = ReturnType<typeof settleCode<ReduceCode['settle']>>

/** A group table with its loops: what the operator does, without the operator. */
export class Reducer {
  readonly table: GroupTable
  readonly failed: string[] = []
  private readonly code: SettleCode
  private readonly loops: {
    plain: ScanAccumulate
    negated: ScanAccumulate
    pairs: PairsAccumulate
    fetch: FetchGroups | null
  }

  constructor(
    private readonly spec: ReduceSpec,
    loops: Reducer['loops'],
    code: SettleCode,
  ) {
    const { keyLayout, keyCount, accumulators } = spec
    this.table = new GroupTable(usedLanes(keyLayout.key), spec.schema, keyCount, accumulators, [], code.present)
    this.loops = loops
    this.code = code
  }

  scan(rows: Batch, negated: boolean): void {
    const loop = negated ? this.loops.negated : this.loops.plain
    const errors = new ErrorSet()
    for (let next = 0; ; this.table.makeRoom()) {
      next = loop(rows, next, rows.length, this.table, errors)
      if (next === rows.length) return
    }
  }

  /** What fetching the groups of these rows gives: a number that depends on all that it reads. */
  fetch(rows: Batch): number | null {
    const { fetch } = this.loops
    return fetch === null ? null : fetch(rows, 0, rows.length, this.table, new Int32Array(rows.length))
  }

  pairs(left: Batch, right: Batch, lefts: Int32Array, rights: Int32Array): void {
    for (let next = 0; ; this.table.makeRoom()) {
      next = this.loops.pairs(left, right, lefts, rights, next, lefts.length, this.table, new ErrorSet())
      if (next === lefts.length) return
    }
  }

  /** The one group of a global aggregate exists from the start. */
  seed(): void {
    const { table, spec } = this
    if (spec.keyCount === 0) table.seed(Uint32Array.from(keyLanesOf(spec.keyLayout, [])))
  }

  settle(): Weighted[] {
    const out = new Batch(flatLayout(this.spec.schema), this.table.touchedCount * 2)
    this.failed.length = 0
    out.length = this.code.settle(this.table, out, true, {
      add: (slot, message) => this.failed.push(`${slot} ${message}`),
    })
    return contents(out)
  }

  commit(): void {
    this.table.commit()
  }

  abort(): void {
    this.table.abort()
  }

  /** Everything that must be as before after an abort, by group. */
  state(): Map<string, unknown> {
    const { table, spec } = this
    const state = new Map<string, unknown>()
    for (const [slot, { row, weight }] of contents(table.allRows()).entries()) {
      // A slot that counts nothing is a ghost, and its accumulators are zero.
      const { record, records } = table
      const base = slot * record.words
      const count = records.ints[base + record.count]
      const numbers = table.accumulators.map((accumulator, a) => {
        const at = base + record.fields[a]
        const isReal = accumulator.kind === 'float' || accumulator.kind === 'floatProduct'
        const region = isReal ? records.floats : records.ints
        return [...region.slice(at, at + wordsOf(accumulator)), table.spillOf(a, slot, false)]
      })
      const isGhost = weight === 0n && count === 0n
      const entry = { row: isGhost ? null : row, weight, count, numbers }
      if (!isGhost || numbers.some(list => list.some(x => x !== 0n && x !== 0 && x !== undefined))) {
        state.set(textOf(row.slice(0, spec.keyCount)), entry)
      }
    }
    return state
  }
}

export const right = flatLayout(schemaOf('r', 'k:u8'))

/** Compiles once, makes a new table each time. */
function reducers(mode: Mode, rel: AggregateRel, collide: boolean): () => Reducer {
  const spec = specFor(rel, collide)
  const context = { mode, unit: 'test', provenance: [] }
  const scan = (negate: boolean) =>
    accumulateCode(context, { ...spec, pipeline: { ...spec.pipeline, negate } }).scan<ScanAccumulate>(flat)
  const loops = {
    plain: scan(false),
    negated: scan(true),
    pairs: accumulateCode(context, spec).pairs<PairsAccumulate>(flat, right),
    fetch: accumulateCode(context, spec).fetch<FetchGroups>(flat),
  }
  const code = settleCode<ReduceCode['settle']>(context, spec)
  return () => new Reducer(spec, loops, code)
}

const groupings: readonly { keys: readonly string[]; collide: boolean }[] = [
  { keys: ['g'], collide: false },
  { keys: ['h'], collide: false },
  { keys: ['f', 'g', 'h'], collide: false },
  { keys: ['h', 'f'], collide: true },
  { keys: [], collide: false },
]
export const CASES = groupings.map(({ keys, collide }) => {
  const rel = aggregateBy(keys)
  return { keys, collide, rel, make: new Map(MODES.map(mode => [mode, reducers(mode, rel, collide)])) }
})
