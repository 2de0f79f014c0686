/** Failed rows as a part of an operator's state. */

import { readRow, writeRow } from '../../../codegen/expr/plain.js'
import { decodeValues, encodeValues } from '../../circuit/serialise/values.js'
import { arrangedLayout, type Layout, rowSchema } from '../../schema/schema.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import type { Cold } from '../../zset/cold.js'
import type { Kernels } from '../../zset/kernels.js'
import type { ErrorSet, FailureEntry } from '../errors.js'
import type { StatePart } from './part.js'

/** `row`: the values as JSON. */
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
    for (const { message, row, weight } of this.taken) {
      writeRow(raw, raw.length, [message, encodeValues(row)])
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
      yield { message, row: decodeValues(row), weight: run.weights[i] }
    }
  }
}
