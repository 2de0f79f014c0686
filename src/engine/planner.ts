/**
 * From a lowered, optimised circuit to operators. Linear nodes become part of feeds; what holds state, or is wanted
 * by several consumers, becomes an operator. Arrangements are looked up in the database first, so that views share
 * them.
 */

import { prefixProjector } from '../../codegen/decode.js'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { accumulateCode, settleCode } from '../../codegen/reduce.js'
import { type CodeContext, clampCode, joinCode, rangeCode, SourceList, storeCode } from '../../codegen/steps.js'
import { extremeCode, supportCode, topKCode } from '../../codegen/walk.js'
import { windowCode } from '../../codegen/window.js'
import { GnitzError } from '../base/errors.js'
import { AGGREGATES } from '../circuit/aggregates/index.js'
import { boundKey, hasSignal, type Limit, limitsOf, type Signal, sideLimits, signalsOf } from '../circuit/bounds.js'
import { keepsFailures } from '../circuit/conditions.js'
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import { countReaders, filterOf, mapOf, planCanFail } from '../circuit/nodes.js'
import { printAggregate, printExpr, printNode, printWindowFunction } from '../circuit/print.js'
import {
  type AggregateRel,
  type AggregateSpec,
  type ClampRel,
  divergence,
  type FixpointRel,
  type GateRel,
  type JoinRel,
  type NoiseRel,
  type Rel,
  type Relation,
  type ResultRel,
  type SessionRel,
  type SuccessorRel,
  type TopKRel,
  type UnnestRel,
  type WindowRel,
} from '../circuit/rel.js'
import { allColumns, canFail, exprKey } from '../circuit/substitute.js'
import { arrangedLayout, type Column, flatLayout, type Layout, type RowSchema } from '../schema/schema.js'
import { GroupTable } from '../zset/groups.js'
import { usedLanes } from '../zset/records.js'
import { type Cuttable, Cutter, describeLimits, liveLimit, threshold } from './bounded.js'
import { SILENT } from './errors.js'
import { ArrangeOperator } from './operators/arrange.js'
import { type Clamp, ClampOperator } from './operators/clamp.js'
import { Facts } from './operators/facts.js'
import {
  BatchTarget,
  type Errors,
  type Feed,
  type FeedCode,
  type GroupCode,
  GroupTarget,
  type PairsStore,
  type ScanStore,
  type Target,
} from './operators/feed.js'
import {
  type CountSupport,
  FixpointOperator,
  ResultOperator,
  type SolvedVariable,
  VariableOperator,
} from './operators/fixpoint.js'
import { GateOperator } from './operators/gate.js'
import { JoinOperator, type Probe } from './operators/join.js'
import { LinearOperator } from './operators/linear.js'
import { LoopArrange } from './operators/loop.js'
import { NoiseOperator, noiseLayout } from './operators/noise.js'
import type { Operator, Producer } from './operators/operator.js'
import { Ranked, type RankedTarget } from './operators/ranked.js'
import { Extreme, type FindExtreme, type ReachExtremes, type ReduceCode, ReduceOperator } from './operators/reduce.js'
import { SessionOperator } from './operators/session.js'
import { SuccessorOperator } from './operators/successor.js'
import { type TopKCode, TopKOperator } from './operators/topk.js'
import { UnnestOperator } from './operators/unnest.js'
import type { WaterlineOperator } from './operators/waterline.js'
import { planWindow } from './operators/window/plan.js'
import type { WindowWalk } from './operators/window/stretch.js'
import { WindowOperator } from './operators/window.js'
import { columnIndex, mapRel, orderedColumns, orderOf, planAggregate, specOf, uniqueSchema } from './plan-aggregate.js'
import {
  columnsRead,
  describeFeed,
  describeJoin,
  type FeedPlan,
  filtered,
  isClosed,
  onto,
  reachesFailure,
} from './plan-feeds.js'
import { LoopPlan, Loops } from './plan-loop.js'
import { relKey } from './relkey.js'
import { findShared, type OwnSide, ontoSides, projectionOf, type SharedArrangement, type Side } from './sharing.js'
import { StateNames } from './state/names.js'

/** A join operator with the arrangements that serve its sides. */
interface PlannedJoin {
  readonly operator: JoinOperator
  readonly left: Side
  readonly right: Side
}

/** What the planner needs of the database. */
export interface Catalog {
  producerOf(relation: Relation): Producer
  numberOf(relation: Relation): number
  waterlineOf(signal: Signal): WaterlineOperator
  findArrangement(key: string): ArrangeOperator | undefined
  /** `shared` is null for arrangements with an order of their own. */
  addArrangement(key: string, operator: ArrangeOperator, shared: SharedArrangement | null): void
  sharedArrangements(): Iterable<SharedArrangement>
}

export class Planner {
  /** New operators, producers before consumers. */
  readonly operators: Operator[] = []
  /** Every arrangement the plan uses, new or shared. */
  readonly arrangements = new Set<ArrangeOperator>()
  private readonly producers = new Map<Rel, Producer>()
  private readonly joins = new Map<Rel, PlannedJoin>()
  private readonly fixpoints = new Map<Rel, FixpointOperator>()
  private readonly loops = new Loops()
  private readonly readers: Map<Rel, number>
  private readonly keys = new Map<Rel, string>()
  /** Arrangements that are cut off. */
  private readonly bounded = new Map<string, ArrangeOperator>()
  /** What of the plan keeps rows for ever although they are late at some time, in words. */
  readonly warnings: string[] = []
  private readonly names: StateNames

  /** `owner`: the view whose plan it is. */
  constructor(
    private readonly catalog: Catalog,
    private readonly context: CodeContext,
    root: Rel,
    owner: Relation,
  ) {
    this.readers = countReaders(root)
    this.names = new StateNames(owner, relation => catalog.numberOf(relation))
  }

  /** The feeds that make up `rel`, its linear part fused into them. */
  feedsOf(rel: Rel): FeedPlan[] {
    if (this.isShared(rel)) return [this.scan(this.materialise(rel), rel)]
    return this.fuse(rel)
  }

  private isShared(rel: Rel): boolean {
    if ((this.readers.get(rel) ?? 0) < 2) return false
    if (rel.kind === 'join') return true
    return (
      (rel.kind === 'filter' || rel.kind === 'map' || rel.kind === 'plus' || rel.kind === 'negate') &&
      reachesFailure(rel)
    )
  }

  private scan(producer: Producer, rel: Rel): FeedPlan {
    return { producer, join: null, filter: null, exprs: allColumns(rel.schema), negate: false }
  }

  private fuse(rel: Rel): FeedPlan[] {
    switch (rel.kind) {
      case 'negate':
        return this.unfailing(rel.input).map(feed => ({ ...feed, negate: !feed.negate }))
      case 'plus':
        return rel.inputs.flatMap(input => this.feedsOf(input))
      case 'filter':
        // Where no row gets through, failures below still have to be found.
        return this.stage(rel.input, [], feed => filtered(feed, rel.predicate)).filter(
          feed => !isClosed(feed) || planCanFail(rel.input),
        )
      case 'map':
        return this.stage(rel.input, rel.exprs, feed => ({ ...feed, exprs: rel.exprs.map(e => onto(e, feed.exprs)) }))
      case 'join':
        return [this.pairsOf(rel)]
      default:
        return [this.scan(this.producerOf(rel), rel)]
    }
  }

  /** A join's pairs as a feed. */
  private pairsOf(rel: JoinRel): FeedPlan {
    const { operator, left, right } = this.joinOf(rel)
    const placed = (e: Expr) => ontoSides(e, left, right)
    const filter = rel.residual === null ? null : placed(rel.residual)
    return { producer: null, join: operator, filter, exprs: rel.exprs.map(placed), negate: false }
  }

  /**
   * Puts a filter or map on top of feeds. Columns that can fail are computed first, on their own, unless `exprs`,
   * which come next, evaluate all of them in order anyway.
   */
  private stage(input: Rel, exprs: readonly Expr[], put: (feed: FeedPlan) => FeedPlan): FeedPlan[] {
    const feeds = this.feedsOf(input)
    if (feeds.some(feed => feed.exprs.some(canFail) && !keepsFailures(feed.exprs, exprs)))
      return [put(this.scan(this.materialise(input), input))]
    return feeds.map(put)
  }

  /** Feeds of `rel` that cannot fail: rows that fail below a negation count with the weight they have there. */
  private unfailing(rel: Rel): FeedPlan[] {
    const feeds = this.feedsOf(rel)
    const fails = feeds.some(feed => feed.exprs.some(canFail) || (feed.filter !== null && canFail(feed.filter)))
    return fails ? [this.scan(this.materialise(rel), rel)] : feeds
  }

  private materialise(rel: Rel): Producer {
    let producer = this.producers.get(rel)
    if (producer === undefined) {
      const feeds = this.fuse(rel)
      const loop = this.loops.of(rel)
      const operator = new LinearOperator(rel.schema)
      operator.stateName = this.names.own(rel)
      this.attachBatch(feeds, rel.schema, flatLayout(rel.schema), operator.out, operator.errors, operator.feeds, loop)
      producer = this.add(operator, loop)
      this.producers.set(rel, producer)
    }
    return producer
  }

  producerOf(rel: Rel): Producer {
    let producer = this.producers.get(rel)
    if (producer === undefined) {
      const before = this.operators.length
      producer = this.makeProducer(rel)
      this.producers.set(rel, producer)
      this.names.giveTo(this.operators.slice(before), rel)
    }
    return producer
  }

  private makeProducer(rel: Rel): Producer {
    switch (rel.kind) {
      case 'source':
        if (rel.relation.kind !== 'variable') return this.catalog.producerOf(rel.relation)
        return this.loops.of(rel)?.producerOf(rel.relation) as Producer
      case 'result':
        return this.resultOf(rel)
      case 'clamp':
        return this.clampOf(rel)
      case 'aggregate':
        return this.reduceOf(rel)
      case 'topK':
        return this.topKOf(rel)
      case 'window':
        return this.windowOf(rel)
      case 'noise':
        return this.noiseOf(rel)
      case 'unnest':
        return this.unnestOf(rel)
      case 'successor':
        return this.successorOf(rel)
      case 'session':
        return this.sessionOf(rel)
      case 'gate':
        return this.gateOf(rel)
      case 'filter':
      case 'map':
      case 'negate':
      case 'plus':
      case 'join':
        return this.materialise(rel)
      default:
        throw new GnitzError('INTERNAL', `a ${rel.kind} node reached the planner; it should have been lowered`)
    }
  }

  private add<O extends Operator>(operator: O, loop: LoopPlan | null = null): O {
    if (loop !== null) {
      loop.add(operator)
      return operator
    }
    this.operators.push(operator)
    for (const input of operator.inputs()) if (!input.consumers.includes(operator)) input.consumers.push(operator)
    return operator
  }

  private keyOf(rel: Rel): string {
    return relKey(rel, relation => this.catalog.numberOf(relation), this.keys)
  }

  /** The arrangement of `rel` by the given columns, shared if one exists. */
  arrangementOf(
    rel: Rel,
    keyColumns: readonly number[],
    order: readonly { index: number; descending: boolean }[] = [],
    silent = false,
    purpose = `an arrangement of view ${JSON.stringify(this.context.unit)}`,
    limits: readonly Limit[] = [],
  ): ArrangeOperator {
    if (new Set(keyColumns).size < keyColumns.length) {
      return this.arrangementOf(rel, [...new Set(keyColumns)], order, silent, purpose, limits)
    }
    if (limits.length > 0 && this.loops.of(rel) === null) {
      return this.boundedArrangement(rel, arrangedLayout(rel.schema, keyColumns, order), silent, limits)
    }
    const parts = [this.keyOf(rel), keyColumns.join(), order.map(o => `${o.index}${o.descending}`).join(), silent]
    const key = parts.join('|')
    const loop = this.loops.of(rel)
    if (loop !== null) return this.loopArrangementOf(loop, key, rel, arrangedLayout(rel.schema, keyColumns, order))
    let operator = this.catalog.findArrangement(key)
    if (operator === undefined) {
      const feeds = this.feedsOf(rel)
      const layout = arrangedLayout(rel.schema, keyColumns, order)
      operator = new ArrangeOperator(kernelsOf(layout, this.context.mode), purpose)
      const errors = silent ? SILENT : operator.errors
      this.attachBatch(feeds, rel.schema, layout, operator.raw, errors, operator.feeds)
      operator.stateName = this.names.arrangement(rel, [keyColumns, order, silent])
      this.add(operator)
      const { base, columns } = projectionOf(rel)
      const by = keyColumns.map(k => columns[k])
      const shared = silent || order.length > 0 ? null : { base: this.keyOf(base), columns, key: by, operator }
      this.catalog.addArrangement(key, operator, shared)
    }
    this.arrangements.add(operator)
    return operator
  }

  /** An arrangement that is cut off: other views, which may come later, need rows that are gone. */
  private boundedArrangement(
    rel: Rel,
    layout: Layout,
    silent: boolean,
    limits: readonly Limit[],
    isCutByReader = false,
  ): ArrangeOperator {
    const bounds = limits.map(l => `${l.column}>=${boundKey(l.bound, table => this.catalog.numberOf(table))}`)
    const { key: by, order } = layout
    const orderText = order.map(o => `${o.column.index}${o.descending}`)
    const key = [this.keyOf(rel), by.columns.join(), orderText.join(), silent, isCutByReader, ...bounds].join('|')
    let operator = this.bounded.get(key)
    if (operator === undefined) {
      const feeds = this.feedsOf(rel)
      operator = new ArrangeOperator(
        kernelsOf(layout, this.context.mode),
        `an arrangement of view ${JSON.stringify(this.context.unit)}`,
      )
      this.attachBatch(feeds, rel.schema, layout, operator.raw, silent ? SILENT : operator.errors, operator.feeds)
      operator.stateName = this.names.bounded(rel, [by.columns, orderText, silent, bounds])
      if (!isCutByReader) this.bind(operator, limits, rel.schema)
      this.bounded.set(key, this.add(operator))
    }
    this.arrangements.add(operator)
    return operator
  }

  /** Lets an operator's state be cut off; limits speak of `schema`. */
  private bind(operator: Operator & Cuttable, limits: readonly Limit[], schema: RowSchema): void {
    if (limits.length === 0) return
    const live = limits.map(limit => liveLimit(limit, signal => this.catalog.waterlineOf(signal)))
    operator.cutter = new Cutter(live, operator)
    operator.boundedness = describeLimits(limits, schema)
  }

  /** Notes that what is kept of `rel` grows for ever, although rows of it are late at some time. */
  private warn(operator: Operator, rel: Rel, what: string): void {
    if (operator.boundedness.length > 0 || !hasSignal(rel)) return
    operator.boundedness = ['not bounded by any waterline']
    this.warnings.push(what)
  }

  /** An arrangement within a loop. */
  private loopArrangementOf(loop: LoopPlan, key: string, rel: Rel, layout: Layout): LoopArrange {
    let operator = loop.arrangements.get(key)
    if (operator === undefined) {
      operator = this.arrangeInLoop(loop, rel, layout)
      const { base, columns } = projectionOf(rel)
      const by = layout.key.columns.map(k => columns[k])
      loop.arrangements.set(key, operator)
      loop.shared.push({ base: this.keyOf(base), columns, key: by, operator })
    }
    return operator
  }

  private arrangeInLoop(loop: LoopPlan, rel: Rel, layout: Layout): LoopArrange {
    const feeds = this.feedsOf(rel)
    const operator = new LoopArrange(
      kernelsOf(layout, this.context.mode),
      `an arrangement of view ${JSON.stringify(this.context.unit)}`,
    )
    this.attachBatch(feeds, rel.schema, layout, operator.raw, operator.errors, operator.feeds, loop)
    return this.add(operator, loop)
  }

  /** One side of a join: an arrangement that exists and holds its columns, or a new one. */
  sideOf(rel: Rel, keyColumns: readonly number[], purpose?: string, limits: readonly Limit[] = []): OwnSide {
    if (limits.length > 0 && this.loops.of(rel) === null) {
      const operator = this.arrangementOf(rel, keyColumns, [], false, purpose, limits)
      return { operator, columns: rel.schema.columns.map(c => c.index) }
    }
    const { base, columns } = projectionOf(rel)
    const by = keyColumns.map(k => columns[k])
    const known = this.loops.of(rel)?.shared ?? this.catalog.sharedArrangements()
    const shared = findShared(known, this.keyOf(base), columns, by)
    if (shared === null)
      return {
        operator: this.arrangementOf(rel, keyColumns, [], false, purpose),
        columns: rel.schema.columns.map(c => c.index),
      }
    this.arrangements.add(shared.operator)
    return shared
  }

  private joinOf(rel: JoinRel): PlannedJoin {
    let join = this.joins.get(rel)
    if (join === undefined) {
      const loop = this.loops.of(rel)
      const side = (input: Rel, key: readonly number[], at: 0 | 1): Side => {
        const found = this.sideOf(input, key, undefined, sideLimits(rel, at))
        if (loop === null)
          this.warn(found.operator, input, `the ${at === 0 ? 'left' : 'right'} side of ${describeJoin(rel).join('; ')}`)
        return loop === null ? found : { ...found, operator: loop.arranged(found.operator) }
      }
      const left = side(
        rel.left,
        rel.on.map(([l]) => columnIndex(l)),
        0,
      )
      const right = side(
        rel.right,
        rel.on.map(([, r]) => columnIndex(r)),
        1,
      )
      const code = rel.band
        ? this.rangeCodeOf(rel.band, left, right)
        : joinCode<Probe>(this.context.mode, left.operator.kernels.layout)
      const on = () => describeJoin(rel)
      join = { operator: this.add(new JoinOperator(left.operator, right.operator, code, on), loop), left, right }
      this.joins.set(rel, join)
    }
    return join
  }

  private rangeCodeOf(band: NonNullable<JoinRel['band']>, left: Side, right: Side) {
    const hi = ontoSides(band.hi, left, right)
    const intervals = band.point === 0 ? right : left
    return rangeCode<Probe>(this.context, intervals.operator.kernels.layout, band.point, {
      ...(hi as ColumnExpr),
      input: 0,
    })
  }

  private clampOf(rel: ClampRel): ClampOperator {
    const input = this.keptInput(
      rel,
      rel.schema.columns.map(c => c.index),
    )
    const { fn, sources } = clampCode<Clamp>(this.context, input.kernels.layout, rel.mode)
    return this.add(new ClampOperator(input, fn, sources, rel.mode))
  }

  /** What an operator keeps of its input. */
  private keptInput(
    rel: ClampRel | TopKRel | WindowRel | SuccessorRel,
    key: readonly number[],
    order: readonly { index: number; descending: boolean }[] = [],
  ): ArrangeOperator {
    const input = this.arrangementOf(rel.input, key, order, false, undefined, limitsOf(rel))
    if (this.loops.of(rel.input) === null) this.warn(input, rel.input, `the input of ${printNode(rel)}`)
    return input
  }

  private resultOf(rel: ResultRel): ResultOperator {
    const { loop } = rel.input
    return this.add(new ResultOperator(this.fixpointOf(rel.input), rel.index, loop.program.names[rel.index]))
  }

  private fixpointOf(rel: FixpointRel): FixpointOperator {
    let fixpoint = this.fixpoints.get(rel)
    if (fixpoint === undefined) {
      fixpoint = this.makeFixpoint(rel)
      this.fixpoints.set(rel, fixpoint)
    }
    return fixpoint
  }

  private makeFixpoint(rel: FixpointRel): FixpointOperator {
    const { program, variables, delays } = rel.loop
    const layouts = variables.map(({ schema }) => {
      const last = schema.columns.length - 1
      const row = schema.columns.slice(0, last).map(c => c.index)
      return arrangedLayout(schema, row, [{ index: last, descending: false }])
    })
    const nameOf = (v: number): string => program.names[v] ?? `rows made distinct for ${program.names.join(', ')}`
    const plan = new LoopPlan(
      rel.loop,
      layouts.map((layout, v) => new VariableOperator(nameOf(v), layout)),
    )
    this.loops.add(plan)
    const solved = rel.inputs.map((input, v): SolvedVariable => {
      const derivations = this.arrangeInLoop(plan, input, layouts[v])
      const code = supportCode<CountSupport>(this.context, derivations.kernels, delays[v])
      const facts = new Facts(derivations.kernels)
      const producer = plan.producers[v]
      return { producer, derivations, facts, count: code.fn, source: code.sources, delay: delays[v] }
    })
    const fixpoint = new FixpointOperator({
      variables: solved,
      body: plan.body,
      outside: [...plan.outside],
      gate: plan.gate,
      own: program.variables.length,
      limit: program.limit,
      failure: { message: divergence(program), row: [] },
    })
    for (const outer of plan.outside) if (!outer.consumers.includes(fixpoint)) outer.consumers.push(fixpoint)
    this.operators.push(fixpoint)
    return fixpoint
  }

  private successorOf(rel: SuccessorRel): SuccessorOperator {
    const value = columnIndex(rel.order)
    const keys = rel.keys.map(columnIndex)
    // One key of group and value, if it fits: then a row is found by its key.
    const isOneKey = arrangedLayout(rel.input.schema, [...keys, value]).key.kind === 'packed'
    const input = isOneKey
      ? this.arrangementOf(rel.input, [...keys, value])
      : this.arrangementOf(rel.input, keys, [{ index: value, descending: false }])
    const { layout } = input.kernels
    const sources = new SourceList()
    const project = prefixProjector(this.context, layout, rel.schema, layout.schema.columns.length, sources)
    const shape = { value: layout.schema.columns[value], backwards: rel.backwards, schema: rel.schema }
    return this.add(new SuccessorOperator(input, shape, project, sources.texts))
  }

  private sessionOf(rel: SessionRel): SessionOperator {
    const at = columnIndex(rel.at)
    const order = [{ index: at, descending: false }]
    const keys = [...new Set(rel.keys.map(columnIndex))]
    const limits = limitsOf(rel)
    const input =
      limits.length === 0
        ? this.arrangementOf(rel.input, keys, order)
        : this.boundedArrangement(rel.input, arrangedLayout(rel.input.schema, keys, order), false, limits, true)
    const { layout } = input.kernels
    const sources = new SourceList()
    const project = prefixProjector(this.context, layout, rel.schema, rel.schema.columns.length - 2, sources)
    const shape = { at: layout.schema.columns[at], gap: rel.gap, schema: rel.schema }
    const operator = new SessionOperator(input, shape, project, sources.texts)
    this.bind(operator, limits, rel.schema)
    if (limits.length === 0) this.warn(input, rel.input, `the input of ${printNode(rel)}`)
    return this.add(operator)
  }

  private gateOf(rel: GateRel): GateOperator {
    const { schema } = rel.input
    const layout = arrangedLayout(schema, [columnIndex(rel.key)])
    const sources = new SourceList()
    const project = prefixProjector(this.context, layout, rel.schema, rel.schema.columns.length, sources)
    const waterlineOf = (signal: Signal) => this.catalog.waterlineOf(signal)
    const shape = {
      op: rel.op,
      bound: rel.threshold,
      threshold: threshold(rel.threshold, waterlineOf, w => w.next),
      waterlines: signalsOf(rel.threshold).map(waterlineOf),
      schema: rel.schema,
      text: printNode(rel),
    }
    const operator = new GateOperator(kernelsOf(layout, this.context.mode), shape, project, sources.texts)
    this.attachBatch(this.feedsOf(rel.input), schema, layout, operator.raw, operator.errors, operator.feeds)
    return this.add(operator)
  }

  private unnestOf(rel: UnnestRel): UnnestOperator {
    const { schema } = rel.input
    const sources = new SourceList()
    const count = rel.schema.columns.length - (rel.ordinality ? 2 : 1)
    const project = prefixProjector(this.context, flatLayout(schema), rel.schema, count, sources)
    const { ordinality, outer } = rel
    const array = schema.columns[columnIndex(rel.array)]
    const operator = new UnnestOperator(
      { input: schema, array, schema: rel.schema, ordinality, outer },
      project,
      sources.texts,
    )
    this.attachBatch(this.feedsOf(rel.input), schema, flatLayout(schema), operator.raw, operator.errors, operator.feeds)
    return this.add(operator)
  }

  private topKOf(rel: TopKRel): TopKOperator {
    const order = rel.order.map(o => ({ index: columnIndex(o.expr), descending: o.descending }))
    const input = this.keptInput(rel, rel.keys.map(columnIndex), order)
    const code = topKCode<TopKCode['reached'], TopKCode['rank']>(this.context, input.kernels, rel.schema)
    const operator = new TopKOperator(input, code, rel.limit, rel.schema)
    this.bind(operator, limitsOf(rel), rel.schema)
    return this.add(operator)
  }

  private windowOf(rel: WindowRel): WindowOperator {
    const plan = planWindow(rel)
    const partition = [...new Set(rel.partition.map(columnIndex))]
    const order = rel.order.map(o => ({ index: columnIndex(o.expr), descending: o.descending }))
    const input = this.keptInput(rel, partition, order)
    const code = windowCode<WindowWalk>(this.context, { kernels: input.kernels, schema: rel.schema, partition, order })
    const describe = () => rel.functions.map(printWindowFunction)
    const specs = { plan, code, schema: rel.schema, view: this.context.unit, describe }
    const operator = new WindowOperator(input, specs)
    this.bind(operator, limitsOf(rel), rel.schema)
    return this.add(operator)
  }

  private noiseOf(rel: NoiseRel): NoiseOperator {
    const input = this.arrangementOf(
      rel.input,
      Array.from({ length: rel.keyCount }, (_, k) => k),
    )
    const { mode, unit } = this.context
    return this.add(new NoiseOperator(input, rel, kernelsOf(noiseLayout(rel), mode), unit))
  }

  private reduceOf(rel: AggregateRel): ReduceOperator {
    const plan = planAggregate(rel)
    const keyLayout = arrangedLayout(
      plan.pipeline.schema,
      rel.keys.map((_, k) => k),
    )
    const spec = { ...plan, keyLayout, keyCount: rel.keys.length, schema: rel.schema }
    const code = settleCode<ReduceCode['settle']>(this.context, spec)
    const table = new GroupTable(
      usedLanes(keyLayout.key),
      rel.schema,
      rel.keys.length,
      plan.accumulators,
      plan.aggregates.filter(a => a.kind === 'stored').map(a => a.column),
      code.present,
    )
    const operator = new ReduceOperator(table, code, {
      schema: rel.schema,
      keyCount: rel.keys.length,
      globalKey: rel.keys.length === 0 ? Uint32Array.from(keyLanesOf(keyLayout, [])) : null,
      describe: () => [
        `by ${rel.keys.map(k => printExpr(k)).join(', ') || 'nothing'}`,
        ...rel.aggregates.map(a => `${a.name} = ${printAggregate(a)}`),
      ],
    })
    // Ordered aggregates read the input once more.
    if (plan.aggregates.some(a => a.kind === 'stored')) {
      this.readers.set(rel.input, (this.readers.get(rel.input) ?? 0) + 1)
    }
    const inner = mapRel(rel.input, plan.pipeline)
    for (const feed of this.feedsOf(inner)) this.attachGroup(operator, feed, spec, table)
    this.addExtremes(rel, operator)
    this.addRanked(rel, operator, plan)
    this.bind(operator, limitsOf(rel), rel.schema)
    if (rel.keys.length > 0) this.warn(operator, rel.input, `the groups of ${printNode(rel)}`)
    return this.add(operator)
  }

  /** MIN and MAX of one argument share an arrangement by (group, value). */
  private addExtremes(rel: AggregateRel, operator: ReduceOperator): void {
    const readers = new Map<string, { spec: AggregateSpec; mins: Column[]; maxs: Column[] }>()
    rel.aggregates.forEach((spec, n) => {
      if (spec.fn !== 'min' && spec.fn !== 'max') return
      const key = exprKey(spec.args[0])
      const reader = readers.get(key) ?? { spec, mins: [], maxs: [] }
      readers.set(key, reader)
      const list = spec.fn === 'min' ? reader.mins : reader.maxs
      list.push(rel.schema.columns[rel.keys.length + n])
    })
    for (const { spec, mins, maxs } of readers.values()) {
      const arrangement = this.orderedInput(rel, spec)
      const value = arrangement.kernels.layout.schema.columns[rel.keys.length]
      const shape = {
        kernels: arrangement.kernels,
        value,
        min: mins[0] ?? null,
        max: maxs[0] ?? null,
        schema: rel.schema,
        record: operator.table.record,
      }
      const code = extremeCode<ReachExtremes, FindExtreme>(this.context, shape)
      operator.extremes.push(new Extreme(arrangement, value, mins, maxs, code))
    }
  }

  /** All other ordered aggregates; those of one order share an arrangement. */
  private addRanked(rel: AggregateRel, operator: ReduceOperator, plan: ReturnType<typeof planAggregate>): void {
    const readers = new Map<ArrangeOperator, RankedTarget[]>()
    rel.aggregates.forEach((spec, n) => {
      const definition = AGGREGATES[spec.fn].plan
      if (definition.kind !== 'ordered' || spec.fn === 'min' || spec.fn === 'max') return
      const arrangement = this.orderedInput(rel, spec)
      const places = orderedColumns(spec)
      const columns = spec.args.map(arg => {
        const at = rel.keys.length + places.findIndex(e => exprKey(e) === exprKey(arg))
        return arrangement.kernels.layout.schema.columns[at]
      })
      const { parts, column } = plan.aggregates[n]
      const target = { plan: definition, detail: spec.detail, columns, target: column, tally: parts[0] ?? -1 }
      readers.set(arrangement, [...(readers.get(arrangement) ?? []), target])
    })
    for (const [arrangement, targets] of readers) {
      operator.ranked.push(new Ranked(arrangement, targets, this.context.unit))
    }
  }

  /** The rows that an ordered aggregate reads, by group and then in its order: group columns, order, other columns. */
  private orderedInput(rel: AggregateRel, spec: AggregateSpec): ArrangeOperator {
    const { filter } = spec
    const rows = filter === null ? rel.input : filterOf(rel.input, filter)
    const terms = orderOf(spec)
    const exprs = [...rel.keys, ...orderedColumns(spec)]
    const name = (n: number) =>
      n < rel.keys.length ? rel.schema.columns[n].name : n === rel.keys.length ? 'value' : 'and'
    const schema = uniqueSchema(
      rel.schema.name,
      exprs.map((e, n) => specOf(e, name(n))),
    )
    const arranged = this.arrangementOf(
      mapOf(rows, exprs, schema),
      rel.keys.map((_, k) => k),
      terms.map((t, i) => ({ index: rel.keys.length + i, descending: t.descending })),
      true,
      undefined,
      limitsOf(rel),
    )
    this.warn(arranged, rel.input, `the rows in order for ${spec.fn} ${JSON.stringify(spec.name)}`)
    return arranged
  }

  /** Adds the end of a view, whose feeds are attached. */
  finish(root: Operator, rel: Rel): void {
    root.stateName = this.names.own(rel)
    this.add(root)
  }

  /** Makes feeds that end in a batch of layout `out`. */
  attachBatch(
    feeds: readonly FeedPlan[],
    schema: RowSchema,
    out: Layout,
    batch: ConstructorParameters<typeof BatchTarget>[0],
    errors: Errors,
    list: Feed[],
    loop: LoopPlan | null = null,
  ): void {
    for (const feed of feeds) {
      const pipeline = { filter: feed.filter, exprs: feed.exprs, schema, negate: feed.negate }
      const code: FeedCode<ScanStore, PairsStore> = storeCode(this.context, pipeline, out)
      this.connect(feed, new BatchTarget(batch, code, errors), code, schema, list, loop)
    }
  }

  private attachGroup(
    operator: ReduceOperator,
    feed: FeedPlan,
    spec: Parameters<typeof accumulateCode>[1],
    table: GroupTable,
  ): void {
    const pipeline = { filter: feed.filter, exprs: feed.exprs, schema: spec.pipeline.schema, negate: feed.negate }
    const code: GroupCode = accumulateCode(this.context, { ...spec, pipeline })
    this.connect(feed, new GroupTarget(table, code, operator.errors), code, pipeline.schema, operator.feeds)
  }

  private connect(
    feed: FeedPlan,
    target: Target,
    code: FeedCode<unknown, unknown>,
    schema: RowSchema,
    list: Feed[],
    loop: LoopPlan | null = null,
  ): void {
    const { join } = feed
    const producer = feed.producer === null || loop === null ? feed.producer : loop.within(feed.producer)
    list.push({ producer, join, target, code, columns: columnsRead(feed), describe: () => describeFeed(feed, schema) })
    join?.attach(target)
    // Compiled now, so that what cannot be compiled is refused with the view, and its source can be read.
    if (producer !== null) target.prepare(producer.layout, null)
    if (join !== null) target.prepare(join.left.kernels.layout, join.right.kernels.layout)
  }
}
