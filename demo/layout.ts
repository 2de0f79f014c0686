/** What one frame of the demo looks like: a pure function from the state to lines. */
import { integer } from './format.js'

/** A small table. Cells are padded to their column's width; numbers stand on the right. */
export interface Panel {
  readonly title: string
  readonly columns: readonly { readonly name: string; readonly align: 'left' | 'right' }[]
  readonly rows: readonly (readonly string[])[]
}

export interface Frame {
  readonly title: string
  readonly phase: string
  readonly done: number
  readonly total: number
  /** Said beside the progress bar. */
  readonly position: string
  /** Figures under the bar. */
  readonly facts: string
  readonly panels: readonly Panel[]
}

/** How text is marked; plain text has no marks. */
export interface Style {
  readonly strong: (text: string) => string
  readonly faint: (text: string) => string
  readonly bright: (text: string) => string
}

export const PLAIN: Style = { strong: text => text, faint: text => text, bright: text => text }
export const ANSI: Style = {
  strong: text => `\x1b[1m${text}\x1b[0m`,
  faint: text => `\x1b[2m${text}\x1b[0m`,
  bright: text => `\x1b[36m${text}\x1b[0m`,
}

const GAP = '   '

/**
 * Lines of `frame`, none wider than `width` columns and no more than `height` of them. Panels flow from left to
 * right and then down; those without room are left out.
 */
export function renderFrame(frame: Frame, width: number, height: number, style: Style): string[] {
  const lines = [
    style.strong(clip(frame.title, width)),
    '',
    progressLine(frame, width, style),
    style.faint(clip(`${' '.repeat(PHASE_WIDTH)}${frame.facts}`, width)),
  ]
  for (const shelf of shelves(frame.panels, width)) {
    const block = shelfLines(shelf, width, style)
    if (lines.length + 1 + block.length > height) break
    lines.push('', ...block)
  }
  return lines.slice(0, height)
}

const PHASE_WIDTH = 12

function progressLine(frame: Frame, width: number, style: Style): string {
  const position = `  ${integer(frame.done)} / ${integer(frame.total)}  ${frame.position}`
  const room = width - PHASE_WIDTH - position.length
  if (room < 10) return clip(`${pad(frame.phase, PHASE_WIDTH, 'left')}${position.trimStart()}`, width)
  const barWidth = Math.min(40, room)
  const filled = frame.total === 0 ? barWidth : Math.round((barWidth * frame.done) / frame.total)
  const bar = style.bright('█'.repeat(filled)) + style.faint('░'.repeat(barWidth - filled))
  return `${pad(frame.phase, PHASE_WIDTH, 'left')}${bar}${position}`
}

/** Lines of one panel on its own, as plain output prints it. */
export function renderPanel(panel: Panel, width: number, style: Style): string[] {
  return shelfLines([panel], width, style)
}

/** Panels in rows of at most `width` columns. */
function shelves(panels: readonly Panel[], width: number): Panel[][] {
  const result: Panel[][] = []
  let used = Number.POSITIVE_INFINITY
  for (const panel of panels) {
    const needed = panelWidth(panel)
    if (used + GAP.length + needed > width) {
      result.push([])
      used = -GAP.length
    }
    result[result.length - 1].push(panel)
    used += GAP.length + needed
  }
  return result
}

function shelfLines(shelf: readonly Panel[], width: number, style: Style): string[] {
  const blocks = shelf.map(panelLines)
  const height = Math.max(...blocks.map(block => block.length))
  return Array.from({ length: height }, (_, i) => {
    const line = blocks.map((block, p) => block[i] ?? ' '.repeat(panelWidth(shelf[p]))).join(GAP)
    const text = clip(line, width).trimEnd()
    return i === 0 ? style.strong(text) : i === 1 ? style.faint(text) : text
  })
}

/** Title, header and rows, all of the same width. */
function panelLines(panel: Panel): string[] {
  const widths = columnWidths(panel)
  const line = (cells: readonly string[]) =>
    pad(cells.map((cell, c) => pad(cell, widths[c], panel.columns[c].align)).join('  '), panelWidth(panel), 'left')
  return [
    pad(panel.title, panelWidth(panel), 'left'),
    line(panel.columns.map(column => column.name)),
    ...panel.rows.map(line),
  ]
}

function panelWidth(panel: Panel): number {
  const cells = columnWidths(panel).reduce((sum, width) => sum + width + 2, -2)
  return Math.max(panel.title.length, cells)
}

function columnWidths(panel: Panel): number[] {
  return panel.columns.map((column, c) => Math.max(column.name.length, ...panel.rows.map(row => row[c].length)))
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width)
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}
