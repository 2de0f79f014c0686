/**
 * Drawing graphs of operators: as an indented tree, as DOT for Graphviz, or as a picture (SVG) that needs nothing
 * else. Data flow downwards in pictures, from tables to the view; the tree starts from the view.
 *
 * Labels hold names that users chose, so they may hold anything: every format escapes them, and characters that
 * cannot be shown are shown as `\u0007`.
 */
import { type Edge, Graph, layout } from '@dagrejs/dagre'
import { assert } from '../base/errors.js'

export interface PlanNode {
  readonly id: string
  /** One line that says what the node is. */
  readonly label: string
  /** More lines, shown smaller below it. */
  readonly details: readonly string[]
  /** Ids of the nodes that feed it, in order. */
  readonly inputs: readonly string[]
}

export interface PlanGraph {
  readonly nodes: readonly PlanNode[]
}

export type PlanFormat = 'text' | 'dot' | 'svg'

/** The graph as text of the given format. REQUIRES: ids are unique, inputs exist, there is no cycle. */
export function renderPlan(graph: PlanGraph, format: PlanFormat): string {
  const byId = new Map(graph.nodes.map(node => [node.id, node]))
  assert(byId.size === graph.nodes.length, 'ids of plan nodes are unique')
  for (const node of graph.nodes) {
    for (const input of node.inputs) assert(byId.has(input), `input ${input} of plan node ${node.id} exists`)
  }
  switch (format) {
    case 'text':
      return renderText(graph, byId)
    case 'dot':
      return renderDot(graph)
    case 'svg':
      return renderSvg(graph)
  }
}

/** Characters that have no place on a line: controls, line separators, marks that turn text around, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Surrogate}/gu

function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

// --- text

function renderText({ nodes }: PlanGraph, byId: ReadonlyMap<string, PlanNode>): string {
  const readers = new Map<string, number>()
  for (const node of nodes) for (const input of node.inputs) readers.set(input, (readers.get(input) ?? 0) + 1)
  const numbers = new Map<string, number>()
  const lines: string[] = []

  const visit = (node: PlanNode, first: string, rest: string): void => {
    const known = numbers.get(node.id)
    if (known !== undefined) {
      lines.push(`${first}${oneLine(node.label)} (#${known} above)`)
      return
    }
    let number = ''
    if ((readers.get(node.id) ?? 0) > 1) {
      numbers.set(node.id, numbers.size + 1)
      number = ` #${numbers.size}`
    }
    lines.push(`${first}${oneLine(node.label)}${number}`)
    const bar = node.inputs.length > 0 ? '│ ' : '  '
    for (const detail of node.details) lines.push(`${rest}${bar}  ${oneLine(detail)}`)
    node.inputs.forEach((input, i) => {
      const last = i === node.inputs.length - 1
      visit(byId.get(input) as PlanNode, `${rest}${last ? '└─ ' : '├─ '}`, `${rest}${last ? '   ' : '│  '}`)
    })
  }
  for (const node of nodes) if (!readers.has(node.id)) visit(node, '', '')
  return `${lines.join('\n')}\n`
}

// --- DOT

function renderDot({ nodes }: PlanGraph): string {
  const number = new Map(nodes.map((node, i) => [node.id, i]))
  const lines = [
    'digraph plan {',
    '  rankdir = TB',
    '  node [shape = box, style = "rounded,filled", fillcolor = "#f6f8fa", color = "#8c959f", fontname = "Helvetica"]',
    '  edge [color = "#57606a"]',
  ]
  nodes.forEach((node, i) => {
    // `\l` ends a line and aligns it left.
    const label = [node.label, ...node.details].map(line => `${dotText(line)}\\l`).join('')
    lines.push(`  n${i} [label = "${label}"]`)
  })
  nodes.forEach((node, i) => {
    for (const input of node.inputs) lines.push(`  n${number.get(input)} -> n${i}`)
  })
  return `${lines.join('\n')}\n}\n`
}

/** Graphviz reads entities such as `&lt;` in labels, too. */
function dotText(line: string): string {
  return oneLine(line).replace(/["\\]/g, '\\$&').replace(/&/g, '&amp;')
}

// --- SVG

const FONT_SIZE = 13
const DETAIL_SIZE = 11.5
const LINE_HEIGHT = 17
const PADDING = 11
/** Longer lines are broken. */
const MAX_CHARACTERS = 58
/** Lines of details that are shown; all of them are in the tooltip. */
const MAX_LINES = 12
/** Width of a character in a monospaced font, as a part of its size. */
const CHARACTER = 0.61

interface Box {
  readonly node: PlanNode
  readonly title: readonly string[]
  readonly details: readonly string[]
  readonly width: number
  readonly height: number
}

interface Point {
  readonly x: number
  readonly y: number
}

function renderSvg({ nodes }: PlanGraph): string {
  const graph = new Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'TB', nodesep: 36, ranksep: 44, edgesep: 18, marginx: 16, marginy: 16 })
  graph.setDefaultEdgeLabel(() => ({}))
  const boxes = nodes.map(boxOf)
  // dagre keeps what it is given: plain numbers as ids, nothing that users chose.
  const number = new Map(nodes.map((node, i) => [node.id, `${i}`]))
  boxes.forEach((box, i) => {
    graph.setNode(`${i}`, { width: box.width, height: box.height })
  })
  nodes.forEach((node, i) => {
    node.inputs.forEach((input, n) => {
      graph.setEdge(number.get(input) as string, `${i}`, {}, `${n}`)
    })
  })
  layout(graph)

  const { width = 0, height = 0 } = graph.graph()
  const drawnEdges = graph.edges().map((edge: Edge) => drawEdge(graph.edge(edge).points ?? []))
  const isRead = new Set(nodes.flatMap(node => node.inputs))
  const drawnNodes = boxes.map((box, i) => {
    const { x = 0, y = 0 } = graph.node(`${i}`)
    const role = box.node.inputs.length === 0 ? 'source' : isRead.has(box.node.id) ? 'step' : 'result'
    return drawBox(box, { x, y }, role)
  })
  return `${[...svgHead(Math.ceil(width), Math.ceil(height)), ...drawnEdges, ...drawnNodes, '</svg>'].join('\n')}\n`
}

function svgHead(width: number, height: number): string[] {
  const mono = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    '<style>',
    `  text { font-family: ${mono}; white-space: pre; }`,
    `  .title { font-size: ${FONT_SIZE}px; font-weight: 600; fill: #1f2328; }`,
    `  .detail { font-size: ${DETAIL_SIZE}px; fill: #57606a; }`,
    '  .step { fill: #f6f8fa; stroke: #afb8c1; }',
    '  .source { fill: #e9f5ec; stroke: #8fc7a0; }',
    '  .result { fill: #e7f1fd; stroke: #84b1e6; }',
    '  .edge { fill: none; stroke: #6e7781; stroke-width: 1.4; }',
    '</style>',
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">' +
      '<path d="M0 1 L10 5 L0 9 z" fill="#6e7781"/></marker></defs>',
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
  ]
}

function boxOf(node: PlanNode): Box {
  const title = broken(node.label, MAX_CHARACTERS)
  const all = node.details.flatMap(d => broken(d, MAX_CHARACTERS + 6))
  const details =
    all.length > MAX_LINES ? [...all.slice(0, MAX_LINES - 1), `… ${all.length - MAX_LINES + 1} more lines`] : all
  const wide = (lines: readonly string[], size: number): number =>
    Math.max(0, ...lines.map(line => columnsOf(line) * size * CHARACTER))
  const width = Math.max(90, wide(title, FONT_SIZE), wide(details, DETAIL_SIZE)) + 2 * PADDING
  const height = (title.length + details.length) * LINE_HEIGHT + 2 * PADDING - 3
  return { node, title, details, width, height }
}

/** How many character cells a line takes: wide ones (CJK, emoji) take two. */
function columnsOf(line: string): number {
  let columns = 0
  for (const c of line) columns += (c.codePointAt(0) as number) >= 0x1100 ? 2 : 1
  return columns
}

/** The text in lines of at most `limit` characters, broken at a space if there is one; later lines are indented. */
function broken(text: string, limit: number): string[] {
  const lines: string[] = []
  let rest = Array.from(oneLine(text))
  while (rest.length > limit) {
    const space = rest.lastIndexOf(' ', limit)
    const cut = space > limit / 2 ? space : limit
    lines.push(rest.slice(0, cut).join(''))
    rest = ['  ', ...rest.slice(rest[cut] === ' ' ? cut + 1 : cut)]
  }
  return [...lines, rest.join('')]
}

function drawBox(box: Box, center: Point, role: string): string {
  const [x, y] = [center.x - box.width / 2, center.y - box.height / 2]
  const lines = [
    ...box.title.map(text => ({ text, style: 'title' })),
    ...box.details.map(text => ({ text, style: 'detail' })),
  ].map(({ text, style }, i) => {
    const at = `x="${round(x + PADDING)}" y="${round(y + PADDING + i * LINE_HEIGHT + 11)}"`
    return `  <text class="${style}" ${at} xml:space="preserve">${xmlText(text)}</text>`
  })
  const size = `width="${round(box.width)}" height="${round(box.height)}"`
  return [
    '<g>',
    `  <title>${[box.node.label, ...box.node.details].map(t => xmlText(oneLine(t))).join('\n')}</title>`,
    `  <rect class="${role}" x="${round(x)}" y="${round(y)}" ${size} rx="6"/>`,
    ...lines,
    '</g>',
  ].join('\n')
}

/** A curve through the middles between the points, which the points pull towards themselves. */
function drawEdge(points: readonly Point[]): string {
  const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`
  const middle = (a: Point, b: Point): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 })
  const parts = points.slice(1, -1).map((p, i) => {
    const next = points[i + 2]
    return `Q${at(p)} ${at(i === points.length - 3 ? next : middle(p, next))}`
  })
  const line = points.length === 2 ? `L${at(points[1])}` : parts.join(' ')
  return points.length < 2 ? '' : `<path class="edge" d="M${at(points[0])} ${line}" marker-end="url(#arrow)"/>`
}

const round = (x: number): number => Math.round(x * 10) / 10

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const xmlText = (text: string): string => text.replace(/[&<>"']/g, c => ENTITIES[c])
