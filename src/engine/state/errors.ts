/** Failed rows as a part of an operator's state. */

import { readRow, writeRow } from '../../../codegen/expr/plain.js'
import { decodeValues, encodeValues } from '../../circuit/serialise/values.js'
import { arrangedLayout, type Layout, rowSchema } from '../../schema/schema.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import type { Cold } from '../../zset/cold.js'
import type { Kernels } from '../../zset/kernels.js'
import type { ErrorSet, Failure, FailureEntry } from '../errors.js'
import type { StatePart } from './part.js'

/** `message`: see `withSource`; `row`: the values as JSON. */
const LAYOUT = arrangedLayout(
  rowSchema('errors', [
    { name: 'message', type: 'string', nullable: false },
    { name: 'row', type: 'string', nullable: false },
  ]),
  [0, 1],
)

export class ErrorPart implements StatePart {
  readonly layout: Layout = LAYOUT
  private kernels: Kernels | null = null
  private taken: FailureEntry[] = []

  constructor(
    readonly name: string,
    private readonly errors: ErrorSet,
  ) {}

  get hotBytes(): number {
    return 0
  }

  attach(cold: Cold, kernels: Kernels): void {
    this.kernels = kernels
    this.errors.restore(failuresIn(cold.runs()))
  }

  takeHot(): Batch | null {
    if (!this.errors.isChanged || this.kernels === null) return null
    this.taken = this.errors.takeChanges()
    const arranger = new Arranger(this.kernels)
    const { raw } = arranger
    raw.reserve(this.taken.length)
    for (const { weight, ...failure } of this.taken) {
      writeRow(raw, raw.length, [withSource(failure), encodeValues(failure.row)])
      raw.weights[raw.length++] = weight
    }
    const delta = new Batch(LAYOUT, raw.length)
    arranger.arrange(delta)
    return delta.length > 0 ? delta : null
  }

  settled(): void {
    this.taken = []
  }

  putBack(): void {
    this.errors.putBack(this.taken)
    this.taken = []
  }

  relieve(): void {}
}

/** Equal rows may come more than once; their weights add up. */
function* failuresIn(runs: readonly Batch[]): Generator<FailureEntry> {
  for (const run of runs) {
    for (let i = 0; i < run.length; i++) {
      const [message, row] = readRow(run, i) as [string, string]
      yield { ...sourceOf(message), row: decodeValues(row), weight: run.weights[i] }
    }
  }
}

/** The message, and behind it, as JSON, whose failure it is. */
const withSource = ({ message, operator, columns }: Failure): string =>
  `${message}${BEGIN}${JSON.stringify([operator, columns])}`

/** Never in JSON. */
const BEGIN = '\0'

/** Texts that were written before they had a source are messages alone. */
function sourceOf(text: string): Omit<Failure, 'row'> {
  const at = text.lastIndexOf(BEGIN)
  if (at < 0) return { message: text, operator: null, columns: [] }
  const [operator, columns] = JSON.parse(text.slice(at + 1)) as [Failure['operator'], Failure['columns']]
  return { message: text.slice(0, at), operator, columns }
}
