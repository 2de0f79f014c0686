/**
 * Differential privacy: groups are released with noise when they change, as often as their budget allows, and stay as
 * released in between. What was released, and how often, is state of its own: it does not follow from the input.
 */
import { randomBytes } from 'node:crypto'
import { keyLanesOf, readRow, writeRow } from '../../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { budgetSpent, release, type Uniform } from '../../circuit/privacy.js'
import type { NoiseRel } from '../../circuit/rel.js'
import { arrangedLayout, type ColumnSpec, flatLayout, type Layout, rowSchema } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import { groupRanges } from '../../zset/rank.js'
import { Trace } from '../../zset/trace.js'
import { ErrorSet, type Failure, failureColumns } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { type StatePart, TracePart } from '../state/part.js'
import type { ArrangeOperator } from './arrange.js'
import { BatchProducer, type Delta, type Operator, type StateSize } from './operator.js'

/** What is known of a group: the row that is out, if one is, how often one was released, whether that was too often. */
interface Released {
  readonly row: readonly Value[]
  readonly shown: boolean
  readonly releases: number
  readonly spent: boolean
}

/** The layout of what was released: group columns, values, and the bookkeeping. */
export function noiseLayout({ schema, keyCount }: NoiseRel): Layout {
  const columns = schema.columns.map(({ name, type, nullable }, i): ColumnSpec => {
    return { name: `column ${i} ${name}`, type, nullable: nullable || i >= keyCount }
  })
  const more: ColumnSpec[] = [
    { name: 'shown', type: 'bool', nullable: false },
    { name: 'releases', type: 'i64', nullable: false },
    { name: 'spent', type: 'bool', nullable: false },
  ]
  return arrangedLayout(
    rowSchema('released', [...columns, ...more]),
    Array.from({ length: keyCount }, (_, k) => k),
  )
}

const bytes = new DataView(new ArrayBuffer(8))
/** 53 bits from the operating system. */
const secure: Uniform = () => {
  const random = randomBytes(7)
  for (let i = 0; i < 7; i++) bytes.setUint8(i, random[i])
  return ((bytes.getUint32(0) >>> 5) * 67108864 + (bytes.getUint32(3) >>> 6) + 1) / 2 ** 53
}

export class NoiseOperator extends BatchProducer {
  readonly kind = 'noise'
  readonly errors = new ErrorSet()
  private readonly trace: Trace
  private readonly arranger: Arranger
  private readonly probe: Batch
  private delta_: Batch | null = null

  constructor(
    private readonly input: ArrangeOperator,
    private readonly rel: NoiseRel,
    private readonly kernels: CompiledKernels,
    private readonly view: string,
  ) {
    super(flatLayout(rel.schema))
    this.trace = new Trace(kernels, `released groups of view ${JSON.stringify(view)}`)
    this.arranger = new Arranger(kernels)
    this.probe = new Batch(kernels.layout, 1)
  }

  describe(): string[] {
    const { noises, releases, keyCount, schema } = this.rel
    const columns = noises.map((noise, i) => `${schema.columns[keyCount + i].name}: ${noise.mechanism} ${noise.scale}`)
    return [...columns, `at most ${releases} releases a group`]
  }

  inputs(): readonly Operator[] {
    return [this.input]
  }

  step(): void {
    const delta = this.input.delta()
    if (delta === null) return
    this.rowsIn += delta.length
    const { kernels } = this.input
    for (let from = 0; from < delta.length; ) {
      let to = from + 1
      while (to < delta.length && kernels.compareGroups(delta, to, delta, from) === 0) to++
      this.stepGroup(delta, from, to)
      from = to
    }
    const { raw } = this.arranger
    if (raw.length > 0) {
      const changed = new Batch(this.kernels.layout, raw.length)
      this.arranger.arrange(changed)
      this.trace.prepare(changed)
      this.delta_ = changed
    }
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** A group whose row changes from one of rows from..to to another, or comes, or goes. */
  private stepGroup(delta: Batch, from: number, to: number): void {
    let now: readonly Value[] | null = null
    for (let i = from; i < to; i++) if (delta.weights[i] > 0n) now = readRow(delta, i)
    const group = readRow(delta, from).slice(0, this.rel.keyCount)
    const old = this.find(group)
    const next = now === null ? gone(old) : this.released(now, old)
    if (next === old) return
    if (old !== null) this.put(old, -1n)
    if (next !== null) this.put(next, 1n)
  }

  private released(now: readonly Value[], old: Released | null): Released | null {
    const { rel } = this
    const n = old?.releases ?? 0
    if (n < rel.releases) return { row: release(rel, now, n, secure), shown: true, releases: n + 1, spent: false }
    // A group that comes back is shown as it was released last.
    if (old === null || (old.spent && old.shown)) return old
    if (rel.exhausted === 'fail' && !old.spent) this.errors.add(this.spent(now.slice(0, rel.keyCount)), 1n)
    return { ...old, shown: true, spent: true }
  }

  private spent(row: readonly Value[]): Failure {
    const columns = failureColumns(this.rel.schema.columns.slice(0, row.length))
    return { message: budgetSpent(this.view), row, operator: 'privateAggregate', columns }
  }

  /** What was released of a group, or null. */
  private find(group: readonly Value[]): Released | null {
    const { kernels, probe, trace } = this
    probe.heap.clear()
    writeRow(probe, 0, group)
    if (kernels.layout.key.kind === 'none') probe.keys32.set(keyLanesOf(kernels.layout, group))
    const { runs, from, to } = groupRanges(kernels, trace.batches(), probe, 0)
    const net = new Map<string, { values: Value[]; weight: bigint }>()
    runs.forEach((run, r) => {
      for (let i = from[r]; i < to[r]; i++) {
        const values = readRow(run, i)
        const text = values.map(v => `${typeof v} ${String(v)}`).join('\u0000')
        const entry = net.get(text) ?? { values, weight: 0n }
        net.set(text, { values, weight: entry.weight + run.weights[i] })
      }
    })
    const found = [...net.values()].find(e => e.weight > 0n)
    if (found === undefined) return null
    const width = this.rel.schema.columns.length
    const [shown, releases, spent] = found.values.slice(width)
    return {
      row: found.values.slice(0, width),
      shown: shown === true,
      releases: Number(releases),
      spent: spent === true,
    }
  }

  /** Notes a change of what was released, and puts out what can be seen of it. */
  private put({ row, shown, releases, spent }: Released, weight: bigint): void {
    const { raw } = this.arranger
    raw.reserve(1)
    writeRow(raw, raw.length, [...row, shown, BigInt(releases), spent])
    raw.weights[raw.length++] = weight
    if (!shown) return
    this.out.reserve(1)
    writeRow(this.out, this.out.length, row)
    this.out.weights[this.out.length++] = weight
  }

  override contents(): Delta[] {
    const { rel } = this
    const all = this.trace.compact()
    const batch = new Batch(this.out.layout, all?.length ?? 0)
    for (let i = 0; all !== null && i < all.length; i++) {
      const values = readRow(all, i)
      if (values[rel.schema.columns.length] !== true) continue
      writeRow(batch, batch.length, values.slice(0, rel.schema.columns.length))
      batch.weights[batch.length++] = all.weights[i]
    }
    return [{ batch, from: 0, to: batch.length }]
  }

  override commit(): void {
    if (this.delta_ !== null) this.trace.insert(this.delta_, true)
    this.errors.commit()
    this.finish()
  }

  override abort(): void {
    this.errors.abort()
    this.finish()
  }

  private finish(): void {
    this.delta_ = null
    this.arranger.raw.clear()
    this.out.clear()
  }

  parts(): StatePart[] {
    return [new TracePart('released', this.kernels.layout, this.trace), new ErrorPart('errors', this.errors)]
  }

  override sources(): ReadonlyMap<string, string> {
    return this.kernels.sources
  }

  override state(): StateSize {
    const { trace } = this
    return { rows: trace.rowCount, usedBytes: trace.usedBytes, allocatedBytes: trace.allocatedBytes }
  }
}

/** A group without rows is not shown; its releases stay counted. */
const gone = (old: Released | null): Released | null => (old?.shown === true ? { ...old, shown: false } : old)
