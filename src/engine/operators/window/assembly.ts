/**
 * From a partition's changed rows to sections: around each changed row, or several that are near to each other, the
 * rows that it reaches (the core) and those that their outputs depend on. Sections of one partition do not share rows
 * of their cores, and come in ascending order.
 */
import { frameText } from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { lowerRow, weightBetween } from '../../../zset/rank.js'
import type { Trace } from '../../../zset/trace.js'
import type { WindowSpecs } from '../window.js'
import { RunExtremes } from './extremes.js'
import { compute, type FarRows } from './functions.js'
import type { Outputs } from './outputs.js'
import type { Extremal, Partition, Totalled } from './partition.js'
import { PeerGroups } from './peers.js'
import { beyond, type FunctionPlan } from './plan.js'
import { RangeKey } from './range.js'
import { RunTotals } from './run-totals.js'
import { type Frames, framesOf, groupsOf, Section } from './section.js'
import { Span } from './span.js'
import { Cursors, Stretch } from './stretch.js'
import { type Ranking, rankingOf } from './tally.js'
import type { Total } from './totals.js'

/** Takes a section before and after the step, and per function the outputs of both. */
export type Emit = (old: Section, now: Section, outputs: readonly (readonly [Outputs, Outputs])[]) => void

/** Rows that are read at once where all of them change. */
const CHUNK_ROWS = 256

export class Assembly {
  readonly totalled: readonly Totalled[]
  readonly extremal: readonly Extremal[]
  private readonly stretch: Stretch
  private readonly ahead: Cursors
  private readonly behind: Cursors
  private readonly groups: PeerGroups | null
  private readonly range: RangeKey | null
  private readonly spans: Readonly<Record<'coreBack' | 'contextBack' | 'coreForward' | 'contextForward', Span>>
  /** Per run: where the last search ended. Changed rows ascend. */
  private lows: number[] = []

  constructor(
    private readonly kernels: Kernels,
    private readonly specs: WindowSpecs,
    private readonly emit: Emit,
  ) {
    const { plan, code, schema, view } = specs
    this.stretch = new Stretch(schema, code.project, view)
    const nothing = new Batch(kernels.layout)
    this.ahead = new Cursors(nothing)
    this.behind = new Cursors(nothing)
    this.groups =
      plan.groupsBefore && code.groups !== null ? new PeerGroups(code.groups, this.stretch, code.peers) : null
    // Before it a column may say where NULL stands.
    const last = plan.order[plan.order.length - 1]
    this.range = last === undefined ? null : new RangeKey(this.stretch.rows, last.column, last.descending)
    const span = (reach: typeof plan.coreBack, direction: 1 | -1, viewpoint: 'fed' | 'origin') =>
      new Span(reach, direction, viewpoint, this.stretch, code.peers, this.range)
    this.spans = {
      coreBack: span(plan.coreBack, -1, 'fed'),
      contextBack: span(plan.contextBack, -1, 'origin'),
      coreForward: span(plan.coreForward, 1, 'fed'),
      // So far that the core around the next changed row does not reach back into this one.
      contextForward: span(beyond(plan.contextForward, plan.coreBack), 1, 'origin'),
    }
    this.totalled = plan.functions.flatMap(each => {
      const { frame, before, after } = each
      if (frame?.kind !== 'total' || (before !== 'total' && after !== 'total')) return []
      return [{ plan: each, runs: new RunTotals(frame.make, this.reader(frame.columns)) }]
    })
    this.extremal = plan.functions.flatMap(each => {
      const { frame, before, after } = each
      if (frame?.kind !== 'extreme' || (before !== 'extreme' && after !== 'extreme')) return []
      return [{ plan: each, runs: new RunExtremes(kernels, frame.preference.over(kernels.layout.schema)) }]
    })
  }

  /** To be called for the changed rows of a step, when all has been computed from the rows before it. */
  touch(runs: readonly Batch[], delta: Batch): void {
    for (const each of this.extremal) for (let row = 0; row < delta.length; row++) each.runs.touch(runs, delta, row)
  }

  /** Reads values of columns out of runs; a column of a packed key is not stored and has to be taken out of it. */
  private reader(columns: readonly Column[]) {
    const { layout } = this.kernels
    const own = columns.map(c => layout.schema.columns[c.index])
    if (own.every(c => layout.stored.includes(c))) {
      return (total: Total, run: Batch, row: number, times: number) => total.take(run, own, row, times)
    }
    const scratch = new Batch(this.stretch.rows.layout, 1)
    return (total: Total, run: Batch, row: number, times: number) => {
      scratch.heap.clear()
      this.specs.code.project(run, row, scratch, 0)
      total.take(scratch, columns, 0, times)
    }
  }

  /** To be called before the partitions of a step. */
  begin(runs: readonly Batch[]): void {
    this.lows = runs.map(() => 0)
  }

  /** To be called after them. Throws WeightOverflowError. */
  end(): void {
    this.ahead.end()
    this.behind.end()
    this.stretch.clear()
    this.groups?.prepare()
  }

  run(partition: Partition): void {
    for (let consumed = 0; consumed < partition.end - partition.first; ) {
      this.stretch.clear()
      const coreFrom = this.collectBack(partition, consumed)
      const ended = this.collectForward(partition, consumed, coreFrom)
      this.evaluate(partition, coreFrom, ended.coreTo)
      consumed = ended.consumed
    }
  }

  /** Reads the rows before a changed row. Returns where the core begins in the sequence, in which they then are. */
  private collectBack(partition: Partition, consumed: number): number {
    const { behind, stretch, spans } = this
    const { runs, delta, first } = partition
    const { place } = this.specs.code.backward
    const changed = first + consumed
    behind.begin(runs.length + 1)
    for (let r = 0; r < runs.length; r++) {
      this.lows[r] = lowerRow(this.kernels, runs[r], this.lows[r], runs[r].length, delta, changed)
      place(behind, runs[r], this.lows[r] - 1, delta, first)
    }
    place(behind, delta, changed - 1, delta, first)
    const origin = stretch.aside(delta, changed)
    if (partition.isDirty(consumed)) this.readAllBack(partition)
    else this.readBack(partition, spans.coreBack, origin)
    const core = stretch.sequence.length
    this.readBack(partition, spans.contextBack, core === 0 ? origin : stretch.sequence[core - 1])
    stretch.sequence.reverse()
    return stretch.sequence.length - core
  }

  private readBack({ delta, first }: Partition, span: Span, origin: number): void {
    const { behind, stretch } = this
    const { gather } = this.specs.code.backward
    span.start(origin)
    while (!span.done && gather(behind, delta, first, 1, stretch) > 0)
      span.feed(stretch.sequence[stretch.sequence.length - 1])
  }

  private readAllBack({ delta, first }: Partition): void {
    const { behind, stretch } = this
    while (this.specs.code.backward.gather(behind, delta, first, CHUNK_ROWS, stretch) > 0);
  }

  /**
   * Reads the changed row and those after it, as far as they and what is near to them are needed. Returns where the core
   * ends, and how many changed rows have been met by then.
   */
  private collectForward(partition: Partition, met: number, coreFrom: number): { coreTo: number; consumed: number } {
    const { ahead, stretch, spans, groups } = this
    const { runs, delta, first } = partition
    const { place, gather } = this.specs.code.forward
    const { sequence } = stretch
    ahead.begin(runs.length + 1)
    for (let r = 0; r < runs.length; r++) place(ahead, runs[r], this.lows[r], delta, first)
    place(ahead, delta, first + met, delta, first)
    groups?.begin(partition, sequence.slice(coreFrom))
    let consumed = met
    let coreTo = coreFrom
    let phase: 'core' | 'gap' | 'context' = 'core'
    for (let at = sequence.length; ; at++) {
      if (at === sequence.length && gather(ahead, delta, first, phase === 'gap' ? CHUNK_ROWS : 1, stretch) === 0) break
      const row = sequence[at]
      groups?.feed(row)
      if (stretch.before[row] !== stretch.after[row]) {
        consumed++
        spans.coreForward.start(row)
        phase = 'core'
      } else if (phase === 'core') spans.coreForward.feed(row)
      else if (phase === 'context') spans.contextForward.feed(row)
      if (phase === 'core' && spans.coreForward.done) {
        phase = partition.isDirty(consumed) ? 'gap' : 'context'
        coreTo = at + 1
        if (phase === 'context') spans.contextForward.start(row)
      }
      if (phase === 'gap') coreTo = at + 1
      if (phase === 'context' && spans.contextForward.done) break
    }
    groups?.close()
    return { coreTo: phase === 'context' ? coreTo : sequence.length, consumed }
  }

  private evaluate(partition: Partition, coreFrom: number, coreTo: number): void {
    const { stretch, specs } = this
    const { plan, code, view } = specs
    const groups = groupsOf(stretch, code.peers)
    const [baseBefore, baseAfter] = this.rowsBefore(partition)
    const [groupsBefore, groupsAfter] = this.groups?.base(stretch.sequence[coreFrom]) ?? [0, 0]
    const section = (weights: Float64Array, base: number, size: number, groupBase: number): Section => {
      const made = new Section(stretch, weights, groups, coreFrom, coreTo, { base, size, groupBase })
      made.listUnits(plan.positional, view)
      return made
    }
    const old = section(stretch.before, baseBefore, partition.sizeBefore, groupsBefore)
    const now = section(stretch.after, baseAfter, partition.sizeAfter, groupsAfter)
    const frames = [new Map<string, Frames>(), new Map<string, Frames>()] as const
    const outputs = plan.functions.map((each): readonly [Outputs, Outputs] => {
      const far = this.farRows(partition, each, baseBefore)
      const ranking = this.ranking(each)
      return [
        compute(each, old, this.frames(old, each, frames[0]), far[0], ranking),
        compute(each, now, this.frames(now, each, frames[1]), far[1], ranking),
      ]
    })
    this.emit(old, now, outputs)
  }

  /** The order of the stretch's rows that an aggregate asks for. */
  private ranking({ frame }: FunctionPlan): Ranking | null {
    if (frame?.kind === 'ordered') return rankingOf(this.stretch, frame.preference, frame.inPlace)
    if (frame?.kind !== 'total' || frame.distinct === null) return null
    return rankingOf(this.stretch, frame.distinct, false)
  }

  private frames(section: Section, { spec }: FunctionPlan, known: Map<string, Frames>): Frames {
    const key = frameText({ ...spec.frame, exclude: 'none' })
    let frames = known.get(key)
    if (frames === undefined) {
      frames = framesOf(section, spec.frame, this.range)
      known.set(key, frames)
    }
    return frames
  }

  /** Rows before the stretch, before the step and after it. */
  private rowsBefore(partition: Partition): [before: number, after: number] {
    const { plan } = this.specs
    let before = 0
    let after = 0
    if (plan.rowsBefore || plan.functions.some(f => f.before === 'row')) {
      this.eachBehind(partition, (run, from, to) => {
        const count = weightBetween(run, from, to)
        after += count
        if (run !== partition.delta) before += count
      })
    }
    return [before, after]
  }

  /** Rows of the runs that lie before the stretch. */
  private eachBehind(partition: Partition, visit: (run: Batch, from: number, to: number) => void): void {
    const { behind } = this
    for (let c = 0; c < behind.active; c++) {
      const run = behind.runs[c]
      const from = run === partition.delta ? partition.first : partition.fromOf(partition.runs.indexOf(run))
      visit(run, from, behind.at[c] + 1)
    }
  }

  private eachAhead(partition: Partition, visit: (run: Batch, from: number, to: number) => void): void {
    const { ahead } = this
    for (let c = 0; c < ahead.active; c++) {
      const run = ahead.runs[c]
      const to = run === partition.delta ? partition.end : partition.toOf(partition.runs.indexOf(run))
      visit(run, ahead.at[c], to)
    }
  }

  private farRows(partition: Partition, plan: FunctionPlan, base: number): readonly [FarRows, FarRows] {
    const before = plan.before === 'total' ? this.farTotals(partition, plan, true) : null
    const after = plan.after === 'total' ? this.farTotals(partition, plan, false) : null
    const nth = plan.spec.fn === 'nthValue' ? plan.spec.n : 1
    const first = plan.before === 'row' && base >= nth ? this.edgeRow(partition, true, nth) : -1
    const last = plan.after === 'row' && this.ahead.active > 0 ? this.lastRow(partition) : -1
    const bestBefore = plan.before === 'extreme' ? this.farExtremes(partition, plan, true) : [null, null]
    const bestAfter = plan.after === 'extreme' ? this.farExtremes(partition, plan, false) : [null, null]
    return [0, 1].map((side): FarRows => {
      const best = { bestBefore: bestBefore[side], bestAfter: bestAfter[side] }
      return { before: before?.[side] ?? null, after: after?.[side] ?? null, first, last, ...best }
    }) as [FarRows, FarRows]
  }

  private farTotals(partition: Partition, plan: FunctionPlan, behind: boolean): [before: Total, after: Total] {
    const { runs } = this.totalled.find(t => t.plan === plan) as Totalled
    const before = runs.make()
    const after = runs.make()
    const visit = (run: Batch, from: number, to: number): void => {
      runs.add(run, from, to, run === partition.delta ? after : before)
    }
    if (behind) this.eachBehind(partition, visit)
    else this.eachAhead(partition, visit)
    after.plus(before, 1)
    return [before, after]
  }

  /** Places of the best rows beside the stretch, before the step and after it. */
  private farExtremes(partition: Partition, plan: FunctionPlan, behind: boolean): (number | null)[] {
    const { runs: extremes } = this.extremal.find(e => e.plan === plan) as Extremal
    const places = partition.runs.map((): [number, number] => [0, 0])
    const changed: [number, number] = [0, 0]
    const visit = (run: Batch, from: number, to: number): void => {
      const place = run === partition.delta ? changed : places[partition.runs.indexOf(run)]
      place[0] = from
      place[1] = to
    }
    if (behind) this.eachBehind(partition, visit)
    else this.eachAhead(partition, visit)
    const found = partition.bestOf(extremes, places, changed[0], changed[1])
    return found.map(row => (row === null ? null : this.stretch.aside(row.run, row.row)))
  }

  private lastRow(partition: Partition): number {
    let rows = 0
    this.eachAhead(partition, (run, from, to) => {
      rows += weightBetween(run, from, to)
    })
    return rows > 0 ? this.edgeRow(partition, false, 1) : -1
  }

  /** The place of the n-th row of the partition, from its begin or its end. REQUIRES: it has not changed. */
  private edgeRow(partition: Partition, fromBegin: boolean, n: number): number {
    const { delta, first, end, runs } = partition
    const walk = new Cursors(delta)
    const { place, gather } = fromBegin ? this.specs.code.forward : this.specs.code.backward
    walk.begin(runs.length + 1)
    for (const [r, run] of runs.entries()) {
      place(walk, run, fromBegin ? partition.fromOf(r) : partition.toOf(r) - 1, delta, first)
    }
    place(walk, delta, fromBegin ? first : end - 1, delta, first)
    let left = n
    let found = -1
    const sink = {
      append: (run: Batch, row: number, before: number) => {
        left -= before
        if (left <= 0) found = this.stretch.aside(run, row)
      },
    }
    while (found < 0 && gather(walk, delta, first, 1, sink) > 0);
    return found
  }

  get traces(): readonly Trace[] {
    return this.groups === null ? [] : [this.groups.trace]
  }

  get allocatedBytes(): number {
    return this.stretch.rows.allocatedBytes
  }

  commit(): void {
    this.groups?.commit()
  }

  abort(): void {
    this.stretch.clear()
    this.groups?.abort()
  }
}
