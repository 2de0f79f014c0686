/** The last word of the demo: figures, and a tick for every view. */
import { duration, integer, type Latencies, mebibytes, rate } from './format.js'
import type { Timing, Verdict } from './phases.js'

export interface Summary {
  readonly rowCount: number
  readonly batch: number
  readonly compiled: Latencies
  /** Where the database lies, or null. */
  readonly directory: string | null
  readonly replayed: Timing
  readonly corrected: number
  readonly corrections: readonly { readonly name: string; readonly timing: Timing }[]
  readonly state: { readonly rows: number; readonly bytes: number }
  /** While the corrected flights were gone (null: an earlier run has seen to that), and with them back. */
  readonly verdicts: { readonly without: readonly Verdict[] | null; readonly final: readonly Verdict[] }
}

/** Did every view agree with its recomputation, each time? */
export function allAgree({ verdicts: { without, final } }: Summary): boolean {
  return [...(without ?? []), ...final].every(({ problem }) => problem === null)
}

export function renderSummary(summary: Summary): string {
  const { rowCount, batch, compiled, directory, replayed, corrected, corrections, state, verdicts } = summary
  const slowest = duration(compiled.quantile(1))
  const lines = [
    `${integer(rowCount)} flights through ${compiled.count} live views, compiled in ${duration(compiled.totalMs)} (slowest ${slowest})`,
    '',
    ...timings(`replay, ${integer(batch)} a batch`, replayed, directory !== null, true),
    ...corrections.flatMap(({ name, timing }) => timings(name, timing, directory !== null, false)),
    figure('state of tables and views', `${integer(state.rows)} rows in ${mebibytes(state.bytes)}`),
    '',
    `Every view against a recomputation, without the ${integer(corrected)} corrected flights and with them back:`,
    ...verdicts.final.flatMap((final, v) => verdictLines(verdicts.without?.[v] ?? null, final)),
    '',
    allAgree(summary) ? 'All views are exact.' : 'Some views are wrong.',
  ]
  if (directory !== null) lines.push(`npx gnitz verify ${directory} checks what is kept, npm start goes on with it.`)
  return lines.join('\n')
}

/** The lines of a phase; none if it was over before. */
function timings(
  name: string,
  { rows, latencies, durable, totalMs }: Timing,
  isDurable: boolean,
  isLoad: boolean,
): string[] {
  if (rows === 0) return []
  const speed = isLoad ? `${rate(rows, totalMs)} · ` : ''
  const lines = [figure(name, `${speed}${latencies.summary({ max: true })}`)]
  if (isDurable) lines.push(figure('  until it was on the disk', durable.summary({ max: true })))
  return lines
}

function figure(name: string, value: string): string {
  return `  ${name.padEnd(36)}${value}`
}

function verdictLines(without: Verdict | null, final: Verdict): string[] {
  const mark = (verdict: Verdict | null) => (verdict === null ? '–' : verdict.problem === null ? '✓' : '✗')
  const problems = [without, final].flatMap(v => (v === null || v.problem === null ? [] : [`      ${v.problem}`]))
  return [
    `  ${mark(without)} ${mark(final)} ${final.view.padEnd(30)}${integer(final.rowCount).padStart(10)} rows`,
    ...problems,
  ]
}
