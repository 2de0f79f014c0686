/** Code frames: the lines of a lambda around a place, with a caret under it. */

const CONTEXT_LINES = 2
const MAX_WIDTH = 100

/**
 * Frame for `text` from offset `start` to `end`. Long lines (minified code) are cut around the place.
 * ```
 *   1 | o => o.amount > limit
 *     |                 ^^^^^
 * ```
 */
export function codeFrame(text: string, start: number, end: number): string {
  const lines = text.split(/\r\n|[\n\r\u2028\u2029]/)
  const { line, column } = locate(text, start)
  const width = String(line + 1).length
  const first = Math.max(0, line - CONTEXT_LINES)
  const target = lines[line] ?? ''
  const from = column < MAX_WIDTH - 20 ? 0 : column - MAX_WIDTH / 2
  const shown = lines.slice(first, line + 1).map((content, i) => {
    const number = String(first + i + 1).padStart(width)
    return `  ${number} | ${printable(content.slice(from, from + MAX_WIDTH))}`.trimEnd()
  })
  const length = Math.max(1, Math.min(end - start, target.length - column, from + MAX_WIDTH - column))
  shown.push(`  ${' '.repeat(width)} | ${' '.repeat(column - from)}${'^'.repeat(length)}`)
  return shown.join('\n')
}

function locate(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, Math.max(0, offset)).split(/\r\n|[\n\r\u2028\u2029]/)
  return { line: before.length - 1, column: before[before.length - 1].length }
}

/** One column a character, whatever the terminal makes of control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
const printable = (line: string): string => line.replace(/[\u0000-\u001f\u007f]/g, ' ')
