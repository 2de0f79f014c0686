/** The loops of constraints: counting groups of keys in runs, judging them, and conditions over rows. */

import { WeightOverflowError } from '../src/base/errors.js'
import type { Expr } from '../src/circuit/expr.js'
import { call, exprKey } from '../src/circuit/substitute.js'
import { type Column, flatLayout, type Layout, layoutFingerprint, type RowSchema } from '../src/schema/schema.js'
import type { Batch } from '../src/zset/batch.js'
import { compareGerman } from '../src/zset/strings.js'
import { $compareCells } from '../templates/compare.js'
import { $agree, $isFree, tally, turned, unique, violating } from '../templates/constraints.js'
import { $bucketOf, $lowerBound, $search } from '../templates/seek.js'
import { kernelsOf } from './kernels.js'
import { keyStatics } from './keys.js'
import { rowProgram } from './rows.js'
import { external } from './specialise/types.js'
import { type CodeContext, make, SourceList } from './steps.js'

export type Tally = (delta: Batch, run: Batch, sums: BigInt64Array, own: BigInt64Array) => void
export type Unique = (
  delta: Batch,
  from: number,
  sums: BigInt64Array,
  lanes: Uint32Array,
  own: BigInt64Array,
  ownLanes: Uint32Array,
) => number
export type Turned = (
  delta: Batch,
  sums: BigInt64Array,
  totals: BigInt64Array,
  lanes: Uint32Array,
  out: Int32Array,
) => number
export type Violating = (input: Batch, from: number, to: number) => number
export type Agree = (a: Batch, i: number, b: Batch, j: number) => boolean

/** Rows of a layout in groups by key columns, in the order of the key. */
export interface GroupShape {
  readonly layout: Layout
  readonly columns: readonly Column[]
  /** A row with a NULL among them is in no group. */
  readonly nullsAreFree: boolean
}

/** Key columns that the key words of `layout` do not decide. */
function undecided({ layout, columns }: GroupShape): readonly Column[] {
  return layout.key.kind === 'packed' ? columns.filter(c => !layout.key.columns.includes(c.index)) : columns
}

function pairsOf(a: GroupShape, b: GroupShape) {
  const right = undecided(b)
  const [xWords, yWords] = [a.layout.schema.nullWords, b.layout.schema.nullWords]
  return undecided(a).map((x, n) => ({ x, y: right[n], xWords, yWords }))
}

const keyOf = ({ layout, columns, nullsAreFree }: GroupShape) => [
  layoutFingerprint(layout),
  columns.map(c => c.index),
  nullsAreFree,
]

/** Counting the groups of `delta` in runs of another layout by a key of the same kind, or in those of its own. */
export class GroupCode {
  private readonly sources = new SourceList()

  constructor(
    private readonly context: CodeContext,
    private readonly delta: GroupShape,
  ) {}

  get texts(): ReadonlyMap<string, string> {
    return this.sources.texts
  }

  /** Do rows with equal key words belong to one group? */
  agree(run: GroupShape): Agree {
    const $pairs = pairsOf(this.delta, run)
    if ($pairs.length === 0) return () => true
    const key = [keyOf(this.delta), keyOf(run)]
    return make<Agree>(this.context, this.sources, 'agree', $agree, key, () => ({
      $pairs,
      $compareCells,
      $compareStrings: external(compareGerman),
    }))
  }

  private get base() {
    const { layout, columns, nullsAreFree } = this.delta
    return {
      $words: layout.key.words,
      $nullWords: layout.schema.nullWords,
      $equal: keyStatics(layout).$equal,
      $isFree,
      $nullable: nullsAreFree ? columns.filter(c => c.nullable) : [],
      $agreeWithin: external(this.agree(this.delta), 'agreeWithin'),
    }
  }

  tally(run: GroupShape, exact: boolean): Tally {
    const key = [keyOf(this.delta), keyOf(run), exact]
    return make<Tally>(this.context, this.sources, 'tally', tally, key, () => ({
      ...this.base,
      ...keyStatics(this.delta.layout, run.layout),
      $lowerBound,
      $search,
      $bucketOf,
      $pairs: pairsOf(this.delta, run),
      $agree: external(this.agree(run), 'agree'),
      $payload: exact
        ? external(kernelsOf(this.delta.layout, this.context.mode).comparePayload, 'comparePayload')
        : null,
      $overflow: external(() => {
        throw new WeightOverflowError(this.context.provenance[0])
      }, 'overflow'),
    }))
  }

  unique(): Unique {
    return make<Unique>(this.context, this.sources, 'unique', unique, keyOf(this.delta), () => ({
      ...this.base,
      $pairs: pairsOf(this.delta, this.delta),
    }))
  }

  turned(lost: boolean): Turned {
    const key = [...keyOf(this.delta), lost]
    return make<Turned>(this.context, this.sources, lost ? 'lost' : 'missing', turned, key, () => ({
      ...this.base,
      $pairs: pairsOf(this.delta, this.delta),
      $lost: lost,
    }))
  }
}

/** A condition over rows of one layout: finds the first row on which it is FALSE or fails. */
export function checkCode(context: CodeContext, condition: Expr, schema: RowSchema, input: Layout) {
  const sources = new SourceList()
  const key = [exprKey(condition), layoutFingerprint(flatLayout(schema)), layoutFingerprint(input)]
  const fn = make<Violating>(context, sources, 'violating', violating, key, () => ({
    $row: rowProgram({
      inputs: [{ layout: input, name: 'input' }],
      filter: call('not', [condition], 'bool'),
      outputs: [],
      schema: { ...schema, columns: [], nullWords: 0 },
    }),
  }))
  return { fn, sources }
}
