/**
 * Lowering of recursive programs: nested time as a column.
 *
 * DBSP and differential dataflow keep every difference inside of a loop with the iteration it belongs to (Budiu et al.,
 * DBSP, VLDB 2023, section 6; McSherry et al., CIDR 2013). Here the iteration is the last column of every row that depends on
 * a variable: a row of a variable has the iteration in which it came, a row that is made from others the latest of theirs.
 * So everything between two variables is an ordinary circuit of linear and bilinear operators, compiled like any other,
 * and does not depend on the order in which iterations are computed:
 *
 *     filter, map, plus, negate     pass it on          what does not depend on a variable has 0
 *     join                          the greater of the two
 *     what acts by row              one more column of the row: an antijoin takes it away, a left join fills it up,
 *                                   an unnest takes it apart in its iteration, whatever other iterations it has
 *
 * Only where rows are made distinct time matters. That happens in variables: those of the program, whose rows come one
 * iteration after what they follow from, and a further one, without delay, for each clamp within a body. The operator that solves
 * them is `src/engine/operators/fixpoint.ts`.
 */
import { assert } from '../../base/errors.js'
import { type RowSchema, rowSchema } from '../../schema/schema.js'
import type { Expr } from '../expr.js'
import {
  conform,
  emptyOf,
  filterOf,
  inputsOf,
  joinOf,
  mapOf,
  negateOf,
  nodesOf,
  plusOf,
  schemaOf,
  withInputs,
} from '../nodes.js'
import { weightBound } from '../optimise/weights.js'
import type { ClampRel, FixpointRel, JoinRel, PlusRel, RecursiveProgram, Rel, VariableDefinition } from '../rel.js'
import { allColumns, call, columnOf, literal } from '../substitute.js'
import { actsByRow, type ByRow, variableOf, variableSource } from './program.js'

/**
 * The program as a fixpoint. `inputs` are what it reads, `bodies` those of the program; all lowered, but for what acts by
 * row in a body: that is for `lowerNode`, which lowers one node.
 * ENSURES: between the variables of the loop there are filters, maps, negations, sums, joins, unnests and clamps only; of
 * the latter those of what acts by row, which clamp the weight that a row has in an iteration.
 */
export function lowerRecursion(
  program: RecursiveProgram,
  inputs: readonly Rel[],
  bodies: readonly Rel[],
  lowerNode: (rel: Rel) => Rel,
): FixpointRel {
  return new Timing(program, inputs, lowerNode).fixpoint(bodies)
}

class Timing {
  private readonly variables: VariableDefinition[]
  /** By variable. */
  private readonly derivations: Rel[] = []
  private readonly dependent = new Set<Rel>()
  private readonly done = new Map<Rel, Rel>()

  constructor(
    private readonly program: RecursiveProgram,
    private readonly inputs: readonly Rel[],
    private readonly lowerNode: (rel: Rel) => Rel,
  ) {
    this.variables = program.variables.map(v => variableOf(withIteration(v.schema)))
  }

  fixpoint(bodies: readonly Rel[]): FixpointRel {
    for (const node of bodies.flatMap(nodesOf)) {
      const own = node.kind === 'source' && this.program.variables.includes(node.relation as VariableDefinition)
      if (own || inputsOf(node).some(input => this.dependent.has(input))) this.dependent.add(node)
    }
    bodies.forEach((body, k) => {
      // A variable's rows are distinct anyway.
      const input = body.kind === 'clamp' && body.mode === 'one' && this.dependent.has(body) ? body.input : body
      this.derivations[k] = conform(this.timed(input), this.variables[k].schema)
    })
    const { program, variables } = this
    const delays = variables.map((_, k) => (k < program.variables.length ? 1 : 0))
    const loop = Object.freeze({ program, variables, delays })
    return Object.freeze({ kind: 'fixpoint', schema: variables[0].schema, inputs: this.derivations, loop })
  }

  /** The relation with an iteration, whether it depends on a variable or not. */
  private timed(rel: Rel): Rel {
    const visited = this.visit(rel)
    if (this.dependent.has(rel)) return visited
    return mapOf(visited, [...allColumns(visited.schema), literal('u32', 0)], withIteration(visited.schema))
  }

  /** The relation over what the parameters stand for; with an iteration, if it depends on a variable. */
  private visit(rel: Rel): Rel {
    let result = this.done.get(rel)
    if (result === undefined) {
      result = this.dependent.has(rel) ? this.withTime(rel) : this.withoutTime(rel)
      this.done.set(rel, result)
    }
    return result
  }

  private withoutTime(rel: Rel): Rel {
    if (rel.kind === 'source') {
      const parameter = this.program.parameters.indexOf(rel.relation as VariableDefinition)
      return parameter < 0 ? rel : this.inputs[parameter]
    }
    const complete = withInputs(
      rel,
      inputsOf(rel).map(input => this.visit(input)),
    )
    return actsByRow(complete) ? this.lowerNode(complete) : complete
  }

  private withTime(rel: Rel): Rel {
    if (actsByRow(rel)) return this.byRow(rel)
    switch (rel.kind) {
      case 'source':
        return variableSource(this.variables[this.program.variables.indexOf(rel.relation as VariableDefinition)])
      case 'filter':
        return filterOf(this.visit(rel.input), rel.predicate)
      case 'map': {
        const input = this.visit(rel.input)
        return mapOf(input, [...rel.exprs, iterationOf(input)], withIteration(rel.schema))
      }
      case 'negate':
        return negateOf(this.visit(rel.input))
      case 'plus':
        return this.plus(rel)
      case 'join':
        return this.join(rel)
      case 'clamp':
        return this.clamp(rel)
      default:
        return assert(false, `a ${rel.kind} does not depend on a variable of a recursion`) as never
    }
  }

  private plus(rel: PlusRel): Rel {
    const schema = withIteration(rel.schema)
    return plusOf(
      rel.inputs.map(input => conform(this.timed(input), schema)),
      schema,
    )
  }

  private join(rel: JoinRel): Rel {
    const left = this.visit(rel.left)
    const right = this.visit(rel.right)
    const times: Expr[] = []
    if (this.dependent.has(rel.left)) times.push(iterationOf(left))
    if (this.dependent.has(rel.right)) times.push(iterationOf(right, 1))
    const [a, b = a] = times
    const time = a === b ? a : call('if', [call('lt', [a, b], 'bool'), b, a], 'u32')
    const { on, residual, exprs, band } = rel
    return joinOf({ left, right, on, residual, band, exprs: [...exprs, time], schema: withIteration(rel.schema) })
  }

  /** REQUIRES: but for the rows acted on, nothing it reads depends on a variable. */
  private byRow(rel: ByRow): Rel {
    const schema = withIteration(rel.schema)
    if (rel.kind !== 'unnest') {
      const [left, right] = [this.visit(rel.left), this.visit(rel.right)]
      const iteration = rel.type === 'right' ? iterationOf(right, 1) : iterationOf(left)
      return this.lowerNode({ ...rel, left, right, exprs: [...rel.exprs, iteration], schema })
    }
    const input = this.visit(rel.input)
    const width = rel.input.schema.columns.length
    const wide = schemaOf(rel.schema.name, [...input.schema.columns, ...rel.schema.columns.slice(width)])
    const apart = this.lowerNode({ ...rel, input, schema: wide })
    const [iteration, ...elements] = allColumns(apart.schema).slice(width)
    return mapOf(apart, [...allColumns(apart.schema).slice(0, width), ...elements, iteration], schema)
  }

  /** Weights inside a recursion are natural numbers, but for the rows that an antijoin takes away. */
  private clamp(rel: ClampRel): Rel {
    const { input, mode } = rel
    if (input.kind === 'negate') return emptyOf(withIteration(rel.schema))
    const bound = weightBound(input)
    if (bound === 'unit' || (bound === 'natural' && mode === 'positive')) return this.visit(input)
    const derivations = this.visit(input)
    const variable = variableOf(derivations.schema)
    this.derivations[this.variables.length] = derivations
    this.variables.push(variable)
    return variableSource(variable)
  }
}

/** The schema with the iteration as its last column, under a name of its own. */
function withIteration(schema: RowSchema): RowSchema {
  let name = 'iteration'
  while (schema.columns.some(c => c.name === name)) name += '_'
  return rowSchema(schema.name, [...schema.columns, { name, type: 'u32', nullable: false }])
}

/** The iteration column of a timed relation. */
function iterationOf(rel: Rel, input: 0 | 1 = 0): Expr {
  return columnOf(rel.schema, rel.schema.columns.length - 1, input)
}
