// A figure is { name, rate, unit, ratio, target, ok, note }: `ratio` and
// `target` are null where a figure only stands for itself, `ok` is null then.
import { factor, rate, table } from '../lib/report.mjs'
import { mark } from '../lib/topic.mjs'

/** A figure that stands for itself. */
export const plain = (name, value, unit, note = '') => ({
  name,
  rate: value,
  unit,
  ratio: null,
  target: null,
  ok: null,
  note,
})

/** A figure whose rate must reach `least`. */
export const atLeast = (name, value, unit, least, note = '') => ({
  ...plain(name, value, unit, note),
  target: `≥ ${rate(least)} ${unit}`,
  ok: value >= least,
})

/** A figure of which `ratio` is judged: at least `least`. */
export const ratioAtLeast = (name, value, unit, ratio, least, against, note = '') => ({
  ...plain(name, value, unit, note),
  ratio,
  target: `≥ ${Number(least.toPrecision(3))}× ${against}`,
  ok: ratio >= least,
})

/** The same without a judgement. */
export const ratioOnly = (name, value, unit, ratio, against, note = '') => ({
  ...plain(name, value, unit, note),
  ratio,
  target: `of ${against}`,
})

/** A figure of which `ratio` is judged: at most `most`. */
export const ratioAtMost = (name, value, unit, ratio, most, against, note = '') => ({
  ...plain(name, value, unit, note),
  ratio,
  target: `≤ ${most}× ${against}`,
  ok: ratio <= most,
})

export function render(figures) {
  const rows = figures.map(f => [
    f.name,
    f.target ?? '',
    f.ok === null ? '' : mark(f.ok),
    `${rate(f.rate)} ${f.unit}`,
    f.ratio === null ? '' : factor(f.ratio),
    f.note,
  ])
  return table(['', 'target', '', 'found', 'ratio', ''], rows, 3)
}

/** Seconds that `work` takes. */
export async function seconds(work) {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Runs every contender `times` times, in turns so that noise meets them all; medians in seconds by name. */
export async function inTurns(times, contenders) {
  const found = Object.fromEntries(Object.keys(contenders).map(name => [name, []]))
  for (let turn = 0; turn < times; turn++) {
    for (const [name, run] of Object.entries(contenders)) {
      globalThis.gc?.()
      found[name].push(await run(turn))
    }
  }
  return Object.fromEntries(Object.entries(found).map(([name, values]) => [name, median(values)]))
}
