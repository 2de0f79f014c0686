/** Group tables run by their generated loops alone, for the tests of aggregation. */
import type { Mode } from '../../codegen/build.js'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { accumulateCode, type ReduceSpec, settleCode } from '../../codegen/reduce.js'
import type { AggregateRel } from '../../src/circuit/rel.js'
import { ErrorSet } from '../../src/engine/errors.js'
import type { FetchGroups, PairsAccumulate, ScanAccumulate } from '../../src/engine/operators/feed.js'
import type { ReduceCode } from '../../src/engine/operators/reduce.js'
import { arrangedLayout, flatLayout, rowSchema } from '../../src/schema/schema.js'
import { isFloat } from '../../src/schema/types.js'
import { nodes } from '../../src/testing/index.js'
import { Batch } from '../../src/zset/batch.js'
import { GroupTable } from '../../src/zset/groups.js'
import { usedLanes } from '../../src/zset/records.js'
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

/** As the planner does it: arguments after group columns, each once. */
function specFor(rel: AggregateRel, keys: readonly string[], collide: boolean): ReduceSpec {
  const names = [...keys, ...ARGUMENTS]
  const out = rowSchema(
    't',
    names.map(name => ({ name, type: col(name).type, nullable: col(name).nullable })),
  )
  return {
    pipeline: { filter: null, exprs: names.map(col), schema: out, negate: false },
    // The hash of nothing is the same for every group.
    keyLayout: arrangedLayout(out, collide ? [] : keys.map((_, k) => k)),
    keyCount: keys.length,
    schema: rel.schema,
    aggregates: rel.aggregates.map(({ fn, arg }, n) => ({
      fn,
      kind: fn === 'count' ? 'count' : isFloat(arg?.type ?? 'i64') ? 'float' : 'int',
      counted: arg?.nullable === true,
      argument: arg?.kind === 'column' ? names.indexOf(arg.name) : -1,
      column: rel.schema.columns[keys.length + n],
    })),
  }
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
    const accumulators = spec.aggregates.map(({ kind, counted }) => ({ kind, counted }))
    this.table = new GroupTable(usedLanes(spec.keyLayout.key), spec.schema, accumulators, code.present)
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
      add: (aggregate, slot) => this.failed.push(`${aggregate} ${slot}`),
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
      const numbers = record.fields.map(({ valid, sum, high, low }, a) => [
        ...[valid < 0 ? 0n : records.ints[base + valid], sum < 0 ? 0n : records.ints[base + sum]],
        ...(high < 0 ? [] : [records.floats[base + high], records.floats[base + low]]),
        table.spillOf(a, slot, false),
      ])
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
function reducers(mode: Mode, rel: AggregateRel, keys: readonly string[], collide: boolean): () => Reducer {
  const spec = specFor(rel, keys, collide)
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
  return { keys, collide, rel, make: new Map(MODES.map(mode => [mode, reducers(mode, rel, keys, collide)])) }
})
