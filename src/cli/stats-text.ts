/** Counters of a view's operators as a table. */
import type { ViewStats } from '../index.js'

/** One line per operator, columns aligned, with a header. */
export function statsText(stats: ViewStats): string {
  const header = ['operator', 'rows in', 'rows out', 'ms', 'state rows', 'state bytes', 'detail']
  const rows = stats.operators.map(operator => [
    operator.operator,
    String(operator.rowsIn),
    String(operator.rowsOut),
    operator.milliseconds.toFixed(1),
    String(operator.stateRows),
    String(operator.stateBytes),
    operator.detail,
  ])
  const widths = header.map((name, c) => Math.max(name.length, ...rows.map(row => row[c].length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, c) => (c === 0 || c === cells.length - 1 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])))
      .join('  ')
      .trimEnd()
  return [header, ...rows].map(line).join('\n')
}
