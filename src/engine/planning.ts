import { kernelsOf } from '../../codegen/kernels.js'
import { type CodeContext, joinCode, rangeCode, storeCode } from '../../codegen/steps.js'
import { boundKey, hasSignal, type Limit, type Signal, sideLimits } from '../circuit/bounds.js'
import { keepsFailures } from '../circuit/conditions.js'
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import { countReaders, planCanFail } from '../circuit/nodes.js'
import type { JoinRel, Rel, Relation } from '../circuit/rel.js'
import { allColumns, canFail } from '../circuit/substitute.js'
import { arrangedLayout, flatLayout, type Layout, type RowSchema } from '../schema/schema.js'
import { type Cuttable, Cutter, describeLimits, liveLimit } from './bounded.js'
import { SILENT } from './errors.js'
import { ArrangeOperator } from './operators/arrange.js'
import {
  BatchTarget,
  type Errors,
  type Feed,
  type FeedCode,
  type PairsStore,
  type ScanStore,
  type Target,
} from './operators/feed.js'
import type { FixpointOperator } from './operators/fixpoint.js'
import { JoinOperator, type Probe } from './operators/join.js'
import type { KeysOperator } from './operators/keys.js'
import { LinearOperator } from './operators/linear.js'
import { LoopArrange } from './operators/loop.js'
import type { Operator, Producer } from './operators/operator.js'
import type { WaterlineOperator } from './operators/waterline.js'
import { columnIndex } from './plan-aggregate.js'
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
import { type LoopPlan, Loops } from './plan-loop.js'
import { relKey } from './relkey.js'
import { findShared, type OwnSide, ontoSides, projectionOf, type SharedArrangement, type Side } from './sharing.js'
import { StateNames } from './state/names.js'

/** A join operator with the arrangements that serve its sides. */
export interface PlannedJoin {
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
  findKeys(key: string): KeysOperator | undefined
  addKeys(key: string, operator: KeysOperator): void
}

export abstract class Planning {
  /** New operators, producers before consumers. */
  readonly operators: Operator[] = []
  /** Every arrangement the plan uses, new or shared. */
  readonly arrangements = new Set<ArrangeOperator>()
  protected readonly producers = new Map<Rel, Producer>()
  protected readonly joins = new Map<Rel, PlannedJoin>()
  protected readonly fixpoints = new Map<Rel, FixpointOperator>()
  protected readonly loops = new Loops()
  protected readonly readers: Map<Rel, number>
  protected readonly keys = new Map<Rel, string>()
  /** Arrangements that are cut off. */
  protected readonly bounded = new Map<string, ArrangeOperator>()
  /** What of the plan keeps rows for ever although they are late at some time, in words. */
  readonly warnings: string[] = []
  protected readonly names: StateNames

  /** `owner`: the view whose plan it is. */
  constructor(
    protected readonly catalog: Catalog,
    protected readonly context: CodeContext,
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

  protected isShared(rel: Rel): boolean {
    if ((this.readers.get(rel) ?? 0) < 2) return false
    if (rel.kind === 'join') return true
    return (
      (rel.kind === 'filter' || rel.kind === 'map' || rel.kind === 'plus' || rel.kind === 'negate') &&
      reachesFailure(rel)
    )
  }

  /** A producer as the feed that it is. */
  scan(producer: Producer, rel: Rel): FeedPlan {
    return { producer, join: null, filter: null, exprs: allColumns(rel.schema), negate: false }
  }

  protected fuse(rel: Rel): FeedPlan[] {
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
  protected pairsOf(rel: JoinRel): FeedPlan {
    const { operator, left, right } = this.joinOf(rel)
    const placed = (e: Expr) => ontoSides(e, left, right)
    const filter = rel.residual === null ? null : placed(rel.residual)
    return { producer: null, join: operator, filter, exprs: rel.exprs.map(placed), negate: false }
  }

  /**
   * Puts a filter or map on top of feeds. Columns that can fail are computed first, on their own, unless `exprs`,
   * which come next, evaluate all of them in order anyway.
   */
  protected stage(input: Rel, exprs: readonly Expr[], put: (feed: FeedPlan) => FeedPlan): FeedPlan[] {
    const feeds = this.feedsOf(input)
    if (feeds.some(feed => feed.exprs.some(canFail) && !keepsFailures(feed.exprs, exprs)))
      return [put(this.scan(this.materialise(input), input))]
    return feeds.map(put)
  }

  /** Feeds of `rel` that cannot fail: rows that fail below a negation count with the weight they have there. */
  protected unfailing(rel: Rel): FeedPlan[] {
    const feeds = this.feedsOf(rel)
    const fails = feeds.some(feed => feed.exprs.some(canFail) || (feed.filter !== null && canFail(feed.filter)))
    return fails ? [this.scan(this.materialise(rel), rel)] : feeds
  }

  protected materialise(rel: Rel): Producer {
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

  add<O extends Operator>(operator: O, loop: LoopPlan | null = null): O {
    if (loop !== null) {
      loop.add(operator)
      return operator
    }
    this.operators.push(operator)
    for (const input of operator.inputs()) if (!input.consumers.includes(operator)) input.consumers.push(operator)
    return operator
  }

  protected keyOf(rel: Rel): string {
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
    const key = this.arrangementKey(rel, keyColumns, order, silent)
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

  private arrangementKey(
    rel: Rel,
    keyColumns: readonly number[],
    order: readonly { index: number; descending: boolean }[],
    silent: boolean,
  ): string {
    return [this.keyOf(rel), keyColumns.join(), order.map(o => `${o.index}${o.descending}`).join(), silent].join('|')
  }

  /** Is there an arrangement of `rel` by these columns? */
  isArranged(rel: Rel, keyColumns: readonly number[]): boolean {
    return this.catalog.findArrangement(this.arrangementKey(rel, keyColumns, [], false)) !== undefined
  }

  /** An arrangement that is cut off: other views, which may come later, need rows that are gone. */
  protected boundedArrangement(
    rel: Rel,
    layout: Layout,
    silent: boolean,
    limits: readonly Limit[],
    /** What its readers let go of it, which may be less than the limits say; `alone`: there is one only. Else, it cuts itself. */
    cutBy: string | null = null,
  ): ArrangeOperator {
    const bounds = limits.map(l => {
      const rows = l.rows === undefined ? '' : ` or ${l.rows} rows${l.counted === true ? ', counted' : ''}`
      return `${l.column}>=${boundKey(l.bound, table => this.catalog.numberOf(table))}${rows}`
    })
    const { key: by, order } = layout
    const orderText = order.map(o => `${o.column.index}${o.descending}`)
    const key = [this.keyOf(rel), by.columns.join(), orderText.join(), silent, cutBy, ...bounds].join('|')
    let operator = cutBy === 'alone' ? undefined : this.bounded.get(key)
    if (operator === undefined) {
      const feeds = this.feedsOf(rel)
      operator = new ArrangeOperator(
        kernelsOf(layout, this.context.mode),
        `an arrangement of view ${JSON.stringify(this.context.unit)}`,
      )
      this.attachBatch(feeds, rel.schema, layout, operator.raw, silent ? SILENT : operator.errors, operator.feeds)
      const neighbours = cutBy === 'neighbours' ? [cutBy] : []
      operator.stateName = this.names.bounded(rel, [by.columns, orderText, silent, bounds, ...neighbours])
      if (cutBy === null) this.bind(operator, limits, rel.schema)
      this.bounded.set(key, this.add(operator))
    }
    this.arrangements.add(operator)
    return operator
  }

  /** Lets an operator's state be cut off; limits speak of `schema`. */
  protected bind(operator: Operator & Cuttable, limits: readonly Limit[], schema: RowSchema): void {
    if (limits.length === 0) return
    const live = limits.map(limit => liveLimit(limit, signal => this.catalog.waterlineOf(signal)))
    operator.cutter = new Cutter(live, operator)
    operator.boundedness = describeLimits(limits, schema)
  }

  /**
   * Notes that what is kept of `rel` grows for ever, although rows of it are late at some time. Another view may have been
   * told so of an operator that they share.
   */
  protected warn(operator: Operator, rel: Rel, what: string): void {
    if (operator.cutter !== null || !hasSignal(rel)) return
    operator.boundedness = ['not bounded by any waterline']
    if (!this.warnings.includes(what)) this.warnings.push(what)
  }

  /** An arrangement within a loop. */
  protected loopArrangementOf(loop: LoopPlan, key: string, rel: Rel, layout: Layout): LoopArrange {
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

  protected arrangeInLoop(loop: LoopPlan, rel: Rel, layout: Layout): LoopArrange {
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
    const shared = this.sharedSide(rel, keyColumns)
    if (shared === null)
      return {
        operator: this.arrangementOf(rel, keyColumns, [], false, purpose),
        columns: rel.schema.columns.map(c => c.index),
      }
    this.arrangements.add(shared.operator)
    return shared
  }

  /** An arrangement that exists and serves as a side, or null. */
  sharedSide(rel: Rel, keyColumns: readonly number[]): OwnSide | null {
    const { base, columns } = projectionOf(rel)
    const by = keyColumns.map(k => columns[k])
    const known = this.loops.of(rel)?.shared ?? this.catalog.sharedArrangements()
    return findShared(known, this.keyOf(base), columns, by)
  }

  protected joinOf(rel: JoinRel): PlannedJoin {
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

  protected rangeCodeOf(band: NonNullable<JoinRel['band']>, left: Side, right: Side) {
    const hi = ontoSides(band.hi, left, right)
    const intervals = band.point === 0 ? right : left
    return rangeCode<Probe>(this.context, intervals.operator.kernels.layout, band.point, {
      ...(hi as ColumnExpr),
      input: 0,
    })
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

  protected connect(
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

  /** The operator of a node, which is not there yet. */
  protected abstract makeProducer(rel: Rel): Producer
}
