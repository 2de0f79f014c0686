/**
 * Catching up: a view that is created on loaded tables first sees their contents, in chunks, as if they had just been
 * ingested. Producers that exist show chunks of their contents as deltas; arrangements that exist show everything
 * they hold in the first chunk, and as state from then on, so nothing that is sorted is sorted again.
 */
import type { Scheduler } from './epoch.js'
import { ArrangeOperator } from './operators/arrange.js'
import { NoiseOperator } from './operators/noise.js'
import { type Delta, type Operator, Producer } from './operators/operator.js'
import { ReduceOperator } from './operators/reduce.js'
import { ScreenOperator } from './operators/screen.js'

/** Rows of a chunk: enough for sorting to pay, few enough for progress to show. */
const CHUNK_ROWS = 1 << 16

export type Progress = (done: number, total: number) => void

/** Runs the new operators over what exists. Throws what a step throws; the operators are then of no use. */
export function backfill(scheduler: Scheduler, fresh: readonly Operator[], progress: Progress | undefined): void {
  const isNew = new Set(fresh)
  const producers = new Set<Producer>()
  const arrangements = new Set<ArrangeOperator>()
  for (const operator of fresh) {
    for (const input of operator.waitsFor()) {
      if (isNew.has(input)) continue
      if (input instanceof ArrangeOperator) arrangements.add(input)
      else if (input instanceof Producer) producers.add(input)
    }
  }
  // Extremes are looked for when their rows come, in groups that are there: all rows must come at once. A group is to be
  // released once, with everything that is there; of rows that are there none is late.
  const whole = fresh.some(
    o =>
      o instanceof NoiseOperator ||
      o instanceof ScreenOperator ||
      (o instanceof ReduceOperator && o.arrangements.some(a => arrangements.has(a))),
  )
  const rows = whole ? Infinity : CHUNK_ROWS
  const queues = [...producers].map(producer => ({ producer, chunks: chunksOf(producer.contents(whole), rows) }))
  const total = queues.reduce((sum, q) => sum + q.chunks.reduce((n, c) => n + c.to - c.from, 0), 0)
  let done = 0
  try {
    for (let first = true; first || queues.some(q => q.chunks.length > 0); first = false) {
      for (const arrangement of arrangements) arrangement.replay(first)
      for (const { producer, chunks } of queues) {
        const chunk = chunks.shift() ?? null
        producer.replay = chunk
        if (chunk !== null) done += chunk.to - chunk.from
      }
      scheduler.runOnly(fresh)
      progress?.(done, total)
    }
  } finally {
    for (const producer of producers) producer.replay = undefined
    for (const arrangement of arrangements) arrangement.endReplay()
  }
}

function chunksOf(contents: readonly Delta[], rows: number): Delta[] {
  const chunks: Delta[] = []
  for (const { batch, from, to } of contents) {
    for (let at = from; at < to; at += rows) chunks.push({ batch, from: at, to: Math.min(to, at + rows) })
  }
  return chunks
}
