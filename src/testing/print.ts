/** A failing case as TypeScript text that rebuilds it and runs the laws again. */
import type { Bound as ColumnBound } from '../circuit/bounds.js'
import type { Expr } from '../circuit/expr.js'
import { inputsOf } from '../circuit/nodes.js'
import type {
  AggregateDetail,
  AggregateSpec,
  JoinRel,
  RecursiveProgram,
  Rel,
  Relation,
  TableDefinition,
  VariableDefinition,
  ViewDefinition,
} from '../circuit/rel.js'
import type { Bound, WindowSpec } from '../circuit/window.js'
import type { Value } from '../schema/types.js'
import type { Step } from './arbitraries.js'
import type { Case } from './cases.js'

/** Module text; it needs `gnitz/testing` and, for user functions, whatever their source refers to. */
export function printCase(test: Case, shuffle: number): string {
  const printer = new Printer()
  for (const t of test.tables) printer.relation(t)
  const views = test.views.map(v => printer.relation(v))
  const steps = test.steps.map(step => `  ${printer.step(step)},`)
  return [
    '// @ts-nocheck: functions of users are printed as they run, without types',
    "import { nodes as n, replay } from 'gnitz/testing'",
    '',
    ...printer.lines,
    `replay([${views.join(', ')}], [`,
    ...steps,
    `], { shuffle: ${shuffle} })`,
    '',
  ].join('\n')
}

type Named = Relation | VariableDefinition

class Printer {
  readonly lines: string[] = []
  private readonly names = new Map<Named | Rel | RecursiveProgram, string>()
  private readonly counts = { table: 0, view: 0, variable: 0, rel: 0, program: 0 }

  relation(relation: Named): string {
    const known = this.names.get(relation)
    if (known !== undefined) return known
    const text = this.definition(relation)
    return this.define(relation, `${relation.kind}${this.counts[relation.kind]++}`, text)
  }

  private definition(relation: Named): string {
    switch (relation.kind) {
      case 'table':
        return this.table(relation)
      case 'view':
        return this.view(relation)
      case 'variable':
        return this.variable(relation)
    }
  }

  step(step: Step): string {
    const changes = step.map(({ table, row, weight }) => {
      return `{ table: ${this.relation(table)}, row: [${row.map(printValue).join(', ')}], weight: ${weight}n }`
    })
    return changes.length === 0 ? '[]' : `[\n    ${changes.join(',\n    ')},\n  ]`
  }

  private define(object: Named | Rel | RecursiveProgram, name: string, text: string): string {
    this.names.set(object, name)
    this.lines.push(`const ${name} = ${text}`)
    return name
  }

  private table({ schema, waterlines = [] }: TableDefinition): string {
    const columns = schema.columns.map(c => `[${quoted(c.name)}, '${c.type}', ${c.nullable}]`)
    const key = schema.primaryKey.map(k => quoted(schema.columns[k].name))
    const late = waterlines.map(w => `{ column: ${w.column}, lateness: ${w.lateness}n }`).join(', ')
    const more = late === '' ? '' : `, [${late}]`
    return `n.table(${quoted(schema.name)}, [${columns.join(', ')}], [${key.join(', ')}]${more})`
  }

  private variable({ schema }: VariableDefinition): string {
    const columns = schema.columns.map(c => `[${quoted(c.name)}, '${c.type}', ${c.nullable}]`)
    return `n.variable([${columns.join(', ')}])`
  }

  private program(program: RecursiveProgram): string {
    const known = this.names.get(program)
    if (known !== undefined) return known
    const list = (texts: readonly string[]): string => `[${texts.join(', ')}]`
    const parts = [
      list(program.names.map(quoted)),
      list(program.parameters.map(p => this.relation(p))),
      list(program.variables.map(v => this.relation(v))),
      list(program.bodies.map(b => this.rel(b))),
      String(program.limit),
    ]
    return this.define(program, `p${this.counts.program++}`, `n.program(${parts.join(', ')})`)
  }

  private view({ schema, rel, key }: ViewDefinition): string {
    return `n.view(${quoted(schema.name)}, ${this.rel(rel)}, [${key.join(', ')}])`
  }

  private rel(rel: Rel): string {
    const known = this.names.get(rel)
    if (known !== undefined) return known
    const inputs = inputsOf(rel).map(input => this.rel(input))
    const text = this.node(rel, inputs)
    return this.define(rel, `r${this.counts.rel++}`, text)
  }

  private node(rel: Rel, inputs: readonly string[]): string {
    const expr = (e: Expr): string => printExpr(e, inputs)
    const outputs = (exprs: readonly Expr[]): string =>
      `[${exprs.map((e, i) => `[${quoted(rel.schema.columns[i].name)}, ${expr(e)}]`).join(', ')}]`
    switch (rel.kind) {
      case 'source':
        return `n.source(${this.relation(rel.relation)})`
      case 'filter':
        return `n.filter(${inputs[0]}, ${expr(rel.predicate)})`
      case 'map':
        return `n.map(${inputs[0]}, ${outputs(rel.exprs)})`
      case 'clamp':
        return `n.clamp(${inputs[0]}, '${rel.mode}')`
      case 'set':
        return `n.set('${rel.op}', ${inputs.join(', ')})`
      case 'join':
        return `n.join('${rel.type}', ${inputs.join(', ')}, ${this.conditions(rel, expr)}, ${outputs(rel.exprs)})`
      case 'aggregate': {
        const specs = rel.aggregates.map(a => printAggregate(a, expr))
        return `n.aggregate(${inputs[0]}, ${outputs(rel.keys)}, [${specs.join(', ')}])`
      }
      case 'asOf': {
        const on = rel.on.map(([l, r], i) => `[${expr(l)}, ${expr(r)}, ${rel.nullSafe[i]}]`).join(', ')
        const times = rel.times.map(expr).join(', ')
        return `n.asOf('${rel.type}', '${rel.op}', ${inputs.join(', ')}, [${on}], [${times}], ${outputs(rel.exprs)})`
      }
      case 'gate':
        return `n.gate(${inputs[0]}, ${expr(rel.key)}, '${rel.op}', ${this.bound(rel.threshold)})`
      case 'session': {
        const [start, end] = rel.schema.columns.slice(-2).map(c => quoted(c.name))
        return `n.session(${inputs[0]}, [${rel.keys.map(expr).join(', ')}], ${expr(rel.at)}, ${rel.gap}n, ${start}, ${end})`
      }
      case 'unnest': {
        const name = quoted(rel.schema.columns[rel.input.schema.columns.length].name)
        return `n.unnest(${inputs[0]}, ${expr(rel.array)}, ${name}, ${rel.ordinality}, ${rel.outer})`
      }
      case 'topK': {
        const order = rel.order.map(o => `{ expr: ${expr(o.expr)}, descending: ${o.descending} }`)
        return `n.topK(${inputs[0]}, [${rel.keys.map(expr).join(', ')}], [${order.join(', ')}], ${rel.limit})`
      }
      case 'window': {
        const order = rel.order.map(
          o => `{ expr: ${expr(o.expr)}, descending: ${o.descending}, nullsFirst: ${o.nullsFirst} }`,
        )
        const functions = rel.functions.map(f => `[${quoted(f.name)}, ${windowFunction(f, expr)}]`)
        const partition = rel.partition.map(expr).join(', ')
        return `n.window(${inputs[0]}, [${partition}], [${order.join(', ')}], [${functions.join(', ')}])`
      }
      case 'recursive':
        return `n.recursive(${this.program(rel.program)}, [${inputs.join(', ')}], ${rel.index})`
      default:
        return `n.${rel.kind}(${inputs.join(', ')})`
    }
  }

  private bound(bound: ColumnBound): string {
    if (bound.kind !== 'value') return `{ kind: '${bound.kind}', of: [${bound.of.map(b => this.bound(b)).join(', ')}] }`
    const { table, column } = bound.signal
    const text = printExpr(bound.value, ['SIGNAL']).replaceAll(/n\.column\(SIGNAL\.schema[^)]*\)/g, 'signal')
    return `n.waterlineBound(${this.relation(table)}, ${column}, signal => ${text})`
  }

  private conditions(rel: JoinRel, expr: (e: Expr) => string): string {
    const on = rel.on.map(([l, r], i) => `[${expr(l)}, ${expr(r)}, ${rel.nullSafe[i]}]`)
    return `[${on.join(', ')}], ${rel.residual === null ? null : expr(rel.residual)}`
  }
}

function printAggregate({ name, fn, args, filter, distinct, order, detail }: AggregateSpec, expr: (e: Expr) => string) {
  const terms = order.map(o => `{ expr: ${expr(o.expr)}, descending: ${o.descending} }`)
  const options = [
    ...(filter === null ? [] : [`filter: ${expr(filter)}`]),
    ...(distinct ? ['distinct: true'] : []),
    ...(terms.length > 0 ? [`order: [${terms.join(', ')}]`] : []),
    ...(detail === null ? [] : [`detail: ${printDetail(detail)}`]),
  ]
  const last = options.length === 0 ? '' : `, { ${options.join(', ')} }`
  return `[${quoted(name)}, '${fn}', [${args.map(expr).join(', ')}]${last}]`
}

/** A user's aggregate by its parts, its function as source. */
function printDetail(detail: AggregateDetail): string {
  if (typeof detail !== 'object' || detail === null || !('kind' in detail)) return JSON.stringify(detail)
  const { kind, name, type, nullable, fn } = detail
  return `{ kind: '${kind}', name: ${quoted(name)}, type: '${type}', nullable: ${nullable}, fn: ${String(fn)} }`
}

function windowFunction(spec: WindowSpec, expr: (e: Expr) => string): string {
  const { fn, arg, fallback, n, ignoreNulls, frame, aggregate } = spec
  const bound = (b: Bound) =>
    b === null ? 'null' : typeof b !== 'object' ? printValue(b) : `{ months: ${b.months}, micros: ${b.micros}n }`
  const { mode, start, end, exclude } = frame
  const framed = `{ mode: '${mode}', start: ${bound(start)}, end: ${bound(end)}, exclude: '${exclude}' }`
  const [value, other] = [arg, fallback].map(e => (e === null ? null : expr(e)))
  const own = aggregate === undefined ? '' : `, aggregate: n.aggregateSpec(${printAggregate(aggregate, expr)})`
  return `{ fn: '${fn}', arg: ${value}, fallback: ${other}, n: ${n}, ignoreNulls: ${ignoreNulls}, frame: ${framed}${own} }`
}

function printExpr(expr: Expr, inputs: readonly string[]): string {
  switch (expr.kind) {
    case 'literal':
      return `n.literal('${expr.type}', ${printValue(expr.value)})`
    case 'column':
      return `n.column(${inputs[expr.input]}.schema, ${expr.index}, ${expr.input}, ${expr.nullable})`
    case 'call': {
      const args = expr.args.map(a => `, ${printExpr(a, inputs)}`).join('')
      if (expr.op === 'math') return `n.math(${quoted(expr.detail ?? '')}${args})`
      if (expr.op === 'datePart') return `n.datePart('${expr.detail}'${args})`
      if (expr.op === 'function') return `n.fn('${expr.detail}', '${expr.type}'${args})`
      if (expr.udf === null) return `n.call('${expr.op}', '${expr.type}'${args})`
      return `n.udf({ name: ${quoted(expr.udf.name)}, fn: ${String(expr.udf.fn)} }, '${expr.type}'${args})`
    }
  }
}

function printValue(value: Value): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return quoted(value)
  if (value instanceof Uint8Array) return `Uint8Array.of(${value.join(', ')})`
  return Object.is(value, -0) ? '-0' : String(value)
}

const quoted = (text: string): string => JSON.stringify(text)
