/** The last word of the demo: figures, and a tick for every view. */
import { duration, integer, type Latencies, mebibytes, rate } from './format.js'
import type { Verdict } from './phases.js'

export interface Summary {
  readonly rowCount: number
  readonly batch: number
  readonly compiled: Latencies
  readonly replayed: Latencies
  readonly corrected: number
  readonly corrections: readonly { readonly name: string; readonly latencies: Latencies }[]
  readonly state: { readonly rows: number; readonly bytes: number }
  /** While the corrected flights were gone, and with them back. */
  readonly verdicts: { readonly without: readonly Verdict[]; readonly final: readonly Verdict[] }
}

/** Did every view agree with its recomputation, both times? */
export function allAgree({ verdicts }: Summary): boolean {
  return [...verdicts.without, ...verdicts.final].every(({ problem }) => problem === null)
}

export function renderSummary(summary: Summary): string {
  const { rowCount, batch, compiled, replayed, corrected, corrections, state, verdicts } = summary
  const slowest = duration(compiled.quantile(1))
  const lines = [
    `${integer(rowCount)} flights through ${compiled.count} live views, compiled in ${duration(compiled.totalMs)} (slowest ${slowest})`,
    '',
    figure(
      `replay, ${integer(batch)} a batch`,
      `${rate(rowCount, replayed.totalMs)} · ${replayed.summary({ max: true })}`,
    ),
    ...corrections.map(({ name, latencies }) => figure(name, latencies.summary({ max: true }))),
    figure('state of tables and views', `${integer(state.rows)} rows in ${mebibytes(state.bytes)}`),
    '',
    `Every view against a recomputation, without the ${integer(corrected)} corrected flights and with them back:`,
    ...verdicts.final.flatMap((final, v) => verdictLines(verdicts.without[v], final)),
    '',
    allAgree(summary) ? 'All views are exact.' : 'Some views are wrong.',
  ]
  return lines.join('\n')
}

function figure(name: string, value: string): string {
  return `  ${name.padEnd(36)}${value}`
}

function verdictLines(without: Verdict, final: Verdict): string[] {
  const mark = ({ problem }: Verdict) => (problem === null ? '✓' : '✗')
  const problems = [without, final].flatMap(({ problem }) => (problem === null ? [] : [`      ${problem}`]))
  return [
    `  ${mark(without)} ${mark(final)} ${final.view.padEnd(30)}${integer(final.rowCount).padStart(10)} rows`,
    ...problems,
  ]
}
