/**
 * From a lowered, optimised circuit to operators. Linear nodes become part of feeds; what holds state, or is wanted
 * by several consumers, becomes an operator. Arrangements are looked up in the database first, so that views share
 * them.
 */

import { prefixProjector } from '../../codegen/decode.js'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { accumulateCode, settleCode } from '../../codegen/reduce.js'
import { clampCode, SourceList } from '../../codegen/steps.js'
import { extremeCode, supportCode, topKCode } from '../../codegen/walk.js'
import { windowCode } from '../../codegen/window.js'
import { assert, GnitzError } from '../base/errors.js'
import { AGGREGATES } from '../circuit/aggregates/index.js'
import { limitsOf, type Signal, signalsOf } from '../circuit/bounds.js'
import { filterOf, mapOf } from '../circuit/nodes.js'
import { printAggregate, printExpr, printNode, printWindowFunction } from '../circuit/print.js'
import {
  type AggregateRel,
  type AggregateSpec,
  type ClampRel,
  divergence,
  type FixpointRel,
  type GateRel,
  type NoiseRel,
  type Rel,
  type ResultRel,
  type SessionRel,
  type SuccessorRel,
  type TopKRel,
  type UnnestRel,
  type WindowRel,
} from '../circuit/rel.js'
import { exprKey } from '../circuit/substitute.js'
import { arrangedLayout, type Column, flatLayout } from '../schema/schema.js'
import { GroupTable } from '../zset/groups.js'
import { usedLanes } from '../zset/records.js'
import { threshold } from './bounded.js'
import type { ArrangeOperator } from './operators/arrange.js'
import { type Clamp, ClampOperator } from './operators/clamp.js'
import { Facts } from './operators/facts.js'
import { type GroupCode, GroupTarget } from './operators/feed.js'
import {
  type CountSupport,
  FixpointOperator,
  ResultOperator,
  type SolvedVariable,
  VariableOperator,
} from './operators/fixpoint.js'
import { GateOperator } from './operators/gate.js'
import { KeysOperator } from './operators/keys.js'
import { NoiseOperator, noiseLayout } from './operators/noise.js'
import type { Producer } from './operators/operator.js'
import { Ranked, type RankedTarget } from './operators/ranked.js'
import { Extreme, type FindExtreme, type ReachExtremes, type ReduceCode, ReduceOperator } from './operators/reduce.js'
import { SessionOperator } from './operators/session.js'
import { SuccessorOperator } from './operators/successor.js'
import { type TopKCode, TopKOperator } from './operators/topk.js'
import { UnnestOperator } from './operators/unnest.js'
import { planWindow } from './operators/window/plan.js'
import type { WindowWalk } from './operators/window/stretch.js'
import { WindowOperator } from './operators/window.js'
import { columnIndex, mapRel, orderedColumns, orderOf, planAggregate, specOf, uniqueSchema } from './plan-aggregate.js'
import type { FeedPlan } from './plan-feeds.js'
import { LoopPlan } from './plan-loop.js'
import { Planning } from './planning.js'

export class Planner extends Planning {
  protected override makeProducer(rel: Rel): Producer {
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

  private clampOf(rel: ClampRel): ClampOperator {
    const input = this.keptInput(
      rel,
      rel.schema.columns.map(c => c.index),
    )
    const { fn, sources } = clampCode<Clamp>(this.context, input.kernels.layout, rel.mode)
    return this.add(new ClampOperator(input, fn, sources, rel.mode), this.loops.of(rel))
  }

  /** What an operator keeps of its input. */
  private keptInput(
    rel: ClampRel | TopKRel | WindowRel | SuccessorRel,
    key: readonly number[],
    order: readonly { index: number; descending: boolean }[] = [],
  ): ArrangeOperator {
    const limits = limitsOf(rel)
    if (rel.kind === 'window' && limits.length > 0) {
      return this.boundedArrangement(rel.input, arrangedLayout(rel.input.schema, key, order), false, limits, 'alone')
    }
    const input = this.arrangementOf(rel.input, key, order, false, undefined, limits)
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
      failure: { message: divergence(program), row: [], operator: 'recursive', columns: [] },
    })
    for (const outer of plan.outside) if (!outer.consumers.includes(fixpoint)) outer.consumers.push(fixpoint)
    this.operators.push(fixpoint)
    return fixpoint
  }

  private successorOf(rel: SuccessorRel): SuccessorOperator {
    const value = columnIndex(rel.order)
    const keys = rel.keys.map(columnIndex)
    assert(!keys.includes(value), 'rows of one group have different values')
    // One key of group and value, if it fits: then a row is found by its key.
    const isOneKey = arrangedLayout(rel.input.schema, [...keys, value]).key.kind === 'packed'
    const [by, order] = isOneKey ? [[...keys, value], []] : [keys, [{ index: value, descending: false }]]
    const limits = this.loops.of(rel.input) === null ? limitsOf(rel) : []
    const input =
      limits.length === 0
        ? this.arrangementOf(rel.input, by, order)
        : this.boundedArrangement(rel.input, arrangedLayout(rel.input.schema, by, order), false, limits, 'neighbours')
    const { layout } = input.kernels
    const sources = new SourceList()
    const project = prefixProjector(this.context, layout, rel.schema, layout.schema.columns.length, sources)
    const shape = { value: layout.schema.columns[value], backwards: rel.backwards, schema: rel.schema }
    const operator = this.add(new SuccessorOperator(input, shape, project, sources.texts))
    this.bind(operator, limits, rel.schema)
    this.warn(operator, rel.input, `the rows that have a ${rel.backwards ? 'previous' : 'next'} one`)
    return operator
  }

  private sessionOf(rel: SessionRel): SessionOperator {
    const at = columnIndex(rel.at)
    const order = [{ index: at, descending: false }]
    const keys = [...new Set(rel.keys.map(columnIndex))]
    const limits = limitsOf(rel)
    const input =
      limits.length === 0
        ? this.arrangementOf(rel.input, keys, order)
        : this.boundedArrangement(
            rel.input,
            arrangedLayout(rel.input.schema, keys, order),
            false,
            limits,
            `gap ${rel.gap}`,
          )
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
    const loop = this.loops.of(rel)
    const feeds = this.feedsOf(rel.input)
    this.attachBatch(feeds, schema, flatLayout(schema), operator.raw, operator.errors, operator.feeds, loop)
    return this.add(operator, loop)
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

  /** The operator that counts the keys of `rel`; it is shared if one exists. `what`: as for `StateNames.keys`. */
  keysOf(rel: AggregateRel, purpose: string, what: object): KeysOperator {
    const key = this.keyOf(rel)
    let operator = this.catalog.findKeys(key)
    if (operator === undefined) {
      const { spec, table } = this.groupsOf(rel)
      operator = new KeysOperator(table, purpose)
      operator.stateName = this.names.keys(what)
      for (const feed of this.feedsOf(mapRel(rel.input, spec.pipeline))) this.attachGroup(operator, feed, spec, table)
      this.catalog.addKeys(key, this.add(operator))
    }
    return operator
  }

  private groupsOf(rel: AggregateRel) {
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
    return { plan, keyLayout, spec, code, table }
  }

  private reduceOf(rel: AggregateRel): ReduceOperator {
    const { plan, keyLayout, spec, code, table } = this.groupsOf(rel)
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

  private attachGroup(
    operator: ReduceOperator | KeysOperator,
    feed: FeedPlan,
    spec: Parameters<typeof accumulateCode>[1],
    table: GroupTable,
  ): void {
    const pipeline = { filter: feed.filter, exprs: feed.exprs, schema: spec.pipeline.schema, negate: feed.negate }
    const code: GroupCode = accumulateCode(this.context, { ...spec, pipeline })
    this.connect(feed, new GroupTarget(table, code, operator.errors), code, pipeline.schema, operator.feeds)
  }
}
