/** A whole test case from nothing: tables, views over them, and transactions. */
import fc from 'fast-check'
import { type Row, rowText } from '../circuit/interpret.js'
import type { Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import { TYPES, type TypeName, type Value } from '../schema/types.js'
import { type Step, weightArb, withoutNegative } from './arbitraries.js'
import { Choices, genomeArb } from './choices.js'
import { type CircuitOptions, decodeCircuit, decodeRecursion } from './circuits.js'
import { ALL_TYPES } from './expressions.js'
import { table, view } from './nodes.js'
import { samples } from './samples.js'

export interface Case {
  readonly tables: readonly TableDefinition[]
  readonly views: readonly ViewDefinition[]
  readonly steps: readonly Step[]
}

export interface CaseOptions extends CircuitOptions {
  /** Most views, the later ones over the earlier ones too; default 2. */
  readonly maxViews?: number
  readonly maxSteps?: number
  readonly maxChanges?: number
  /** Most different rows of a table. */
  readonly maxRows?: number
  /** Tables begin with a time, small numbers, behind which they have a waterline. */
  readonly waterlines?: boolean
}

/** Types that joins and sums like come up more often. */
const COLUMN_TYPES = [...(['i64', 'string', 'f64', 'i64', 'i32', 'u64'] as const), ...ALL_TYPES]

const TIMES: readonly TypeName[] = ['i64', 'timestamp', 'i32', 'timestamptz', 'date', 'u64', 'i8']

/** Test cases that shrink in all their parts. */
export function caseArb(options: CaseOptions = {}): fc.Arbitrary<Case> {
  // Times go on for a while.
  const longer = options.waterlines === true ? 2 : 1
  const { maxViews = 2, maxSteps = 5 * longer, maxChanges = 12, maxRows = 8 * longer } = options
  const planned = fc.record({ table: fc.nat(0xff), row: fc.nat(0xffff), weight: weightArb })
  const plan = fc.array(fc.array(planned, { maxLength: maxChanges, size: 'max' }), { maxLength: maxSteps, size: 'max' })
  const genomes = fc.record({
    tables: genomeArb(40),
    circuits: fc.array(genomeArb(160), { minLength: 1, maxLength: maxViews }),
    rows: genomeArb(maxRows * 12),
    plan,
    negative: fc.boolean(),
    loaded: fc.boolean(),
  })
  return genomes.map(({ tables: tableGenome, circuits, rows: rowGenome, plan: steps, negative, loaded }) => {
    const tables = decodeTables(new Choices(tableGenome), options.waterlines === true)
    if (options.waterlines === true)
      tables.push(table('clock', [['now', 'i64', false]], [], [{ column: 0, lateness: 0n }]))
    const choices = new Choices(rowGenome)
    const pools = tables.map(t => inTime(t, decodeRows(choices, t, maxRows)))
    const all = steps.map((step, s) =>
      step.map(change => {
        const at = change.table % tables.length
        const rows = options.waterlines === true ? about(pools[at], s / steps.length) : pools[at]
        return { table: tables[at], row: rows[change.row % rows.length], weight: change.weight }
      }),
    )
    // Often everything is there from the start; else most joins and intersections would find nothing.
    const load = tables.flatMap((t, at) => {
      const rows = options.waterlines === true ? about(pools[at], 0) : pools[at]
      return rows.map(row => ({ table: t, row, weight: 1n }))
    })
    const loadFirst = loaded ? [load, ...all] : all
    const finalSteps = negative ? loadFirst : withoutNegative(loadFirst)
    return { tables, views: decodeViews(circuits, tables, options), steps: finalSteps }
  })
}

/** Test cases of recursive programs over graphs: two tables of edges over few nodes, which come and go. */
export function graphCaseArb(options: CaseOptions = {}): fc.Arbitrary<Case> {
  const { maxSteps = 8, maxChanges = 4, maxRows = 12 } = options
  const planned = fc.record({ at: fc.nat(0xffff), weight: weightArb })
  const step = fc.array(planned, { minLength: 1, maxLength: maxChanges, size: 'max' })
  const plan = fc.array(step, { minLength: 2, maxLength: maxSteps, size: 'max' })
  // Not `fc.nat`, which prefers 0: paths need different nodes.
  const node = fc.constantFrom(0, 1, 2, 3, 4, 5)
  const edge = fc.record({ from: node, to: node, other: fc.constantFrom(0, 0, 1) })
  const edges = fc.array(edge, { minLength: 5, maxLength: maxRows, size: 'max' })
  const genomes = fc.record({
    shape: genomeArb(3),
    circuit: genomeArb(160),
    edges,
    plan,
    loaded: fc.constantFrom(true, true, false),
  })
  return genomes.map(({ shape, circuit, edges: given, plan: steps, loaded }) => {
    const choices = new Choices(shape)
    const type = choices.pick(['i32', 'i64', 'string', 'f64', 'u128'] as const)
    const nullable = choices.oneIn(4)
    const nodes: Value[] = samples(type).slice(0, 6 - choices.below(4))
    if (nullable) nodes[0] = null
    const tables = ['e', 'f'].map(name =>
      table(name, [
        ['x', type, nullable],
        ['y', type, nullable],
      ]),
    )
    const all = given.map(({ from, to, other }) => {
      const row = [nodes[from % nodes.length], nodes[to % nodes.length]]
      return { table: tables[other], row, weight: 1n }
    })
    const changes = steps.map(step => step.map(({ at, weight }) => ({ ...all[at % all.length], weight })))
    const rel = decodeRecursion(new Choices(circuit), tables, options)
    return { tables, views: [view('v0', rel)], steps: loaded ? [all, ...changes] : changes }
  })
}

function decodeViews(circuits: number[][], tables: readonly TableDefinition[], options: CaseOptions): ViewDefinition[] {
  const relations: Relation[] = [...tables]
  return circuits.map((genome, i) => {
    const rel = decodeCircuit(new Choices(genome), relations, { ...options, prefix: `v${i}_inner` })
    const definition = view(`v${i}`, rel)
    relations.push(definition)
    return definition
  })
}

function decodeTables(choices: Choices, waterlines: boolean): TableDefinition[] {
  return Array.from({ length: 1 + choices.below(3) }, (_, t) => {
    const columns = Array.from({ length: 1 + choices.below(4) }, (_, c) => {
      const type = choices.pick(COLUMN_TYPES)
      return [`${'abcd'[c]}${t}`, type, choices.oneIn(3)] as const
    })
    const key = columns.filter(([, , nullable]) => !nullable && choices.oneIn(3)).map(([name]) => name)
    if (!waterlines) return table(`t${t}`, columns, key)
    const at = [`at${t}`, choices.pick(TIMES), false] as const
    return table(`t${t}`, [at, ...columns], key, [{ column: 0, lateness: BigInt(choices.pick([3, 0, 10])) }])
  })
}

/** Rows in the order of their times, if they have some. */
function inTime({ waterlines }: TableDefinition, rows: readonly Row[]): readonly Row[] {
  if (waterlines === undefined) return rows
  const [{ column }] = waterlines
  return rows.toSorted((a, b) => Number(a[column]) - Number(b[column]))
}

/** Half of the rows, which are about as far on as a part of all is. */
function about(rows: readonly Row[], part: number): readonly Row[] {
  const from = Math.floor((rows.length / 2) * part)
  return rows.slice(from, from + Math.ceil(rows.length / 2))
}

/** At least one row, none twice. */
function decodeRows(choices: Choices, definition: TableDefinition, maxRows: number): Row[] {
  const rows = new Map<string, Row>()
  const count = 1 + choices.below(maxRows)
  for (let i = 0; i < count; i++) {
    const row = definition.schema.columns.map((c): Value => {
      if (definition.waterlines?.some(w => w.column === c.index) === true) {
        const time = choices.below(24)
        return TYPES[c.type].js === 'number' ? time : BigInt(time)
      }
      if (c.nullable && choices.oneIn(4)) return null
      // Mostly from the small values at the front, so that rows agree in some columns.
      const values = samples(c.type)
      return choices.pick(choices.oneIn(4) ? values : values.slice(0, 3))
    })
    rows.set(rowText(row), row)
  }
  return [...rows.values()]
}
