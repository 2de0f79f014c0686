// The tables printed at the end of a run.
import { TITLES } from './data.mjs'
import { checks } from './targets.mjs'

export function rate(x) {
  if (x === null || x === undefined) return '–'
  if (x >= 10e6) return `${(x / 1e6).toFixed(0)} M`
  if (x >= 1e6) return `${(x / 1e6).toFixed(1)} M`
  if (x >= 10e3) return `${(x / 1e3).toFixed(0)} k`
  return x >= 1e3 ? `${(x / 1e3).toFixed(1)} k` : x.toFixed(0)
}

/** A time given in milliseconds. */
export function time(ms) {
  if (ms === null || ms === undefined) return '–'
  if (ms >= 100) return `${ms.toFixed(0)} ms`
  if (ms >= 1) return `${ms.toFixed(1)} ms`
  const us = ms * 1000
  return us >= 100 ? `${us.toFixed(0)} µs` : us >= 1 ? `${us.toFixed(1)} µs` : `${us.toFixed(2)} µs`
}

export function bytes(x) {
  if (x === null || x === undefined) return '–'
  if (x >= 2 ** 20) return `${(x / 2 ** 20).toFixed(1)} MB`
  return x >= 2 ** 10 ? `${(x / 2 ** 10).toFixed(0)} kB` : `${x} B`
}

export function factor(x) {
  if (x === null || !Number.isFinite(x)) return '–'
  return x >= 100 ? `${x.toFixed(0)}×` : x >= 10 ? `${x.toFixed(1)}×` : `${x.toFixed(2)}×`
}

/** Text in columns; `left` says how many columns from the left are flush left. */
export function table(head, rows, left = 1) {
  const all = [head, ...rows]
  const width = head.map((_, c) => Math.max(...all.map(r => r[c].length)))
  const line = r => r.map((cell, c) => (c < left ? cell.padEnd(width[c]) : cell.padStart(width[c]))).join('  ')
  return [line(head), width.map(n => '─'.repeat(n)).join('  '), ...rows.map(line)]
    .map(l => `  ${l.trimEnd()}`)
    .join('\n')
}

const HEAD = [
  'engine',
  'result',
  'load rows/s',
  'changes/s',
  'batch p50',
  'p99',
  'single p50',
  'p99',
  'state',
  'scavenges',
]

function engines(entries, absent) {
  const rows = entries.map(s => [
    s.engine,
    s.status === 'ok' ? 'correct' : s.status.toUpperCase(),
    rate(s.loadRowsPerS),
    rate(s.deltaPerS),
    time(s.batchP50),
    time(s.batchP99),
    time(s.singleP50),
    time(s.singleP99),
    bytes(s.stateBytes),
    s.scavenges === null ? '–' : String(s.scavenges),
  ])
  for (const a of absent) rows.push([a.engine, 'n/a', ...HEAD.slice(2).map(() => '')])
  return table(HEAD, rows, 2)
}

function verdict(c) {
  if (c.ok === null) return '– nothing to compare with'
  if (c.ok) return '✓'
  return c.short === null ? '✗' : `✗ short by ${factor(c.short)}`
}

function figures(c) {
  const show = c.figure === 'loadRowsPerS' ? rate : time
  return c.figure === null || c.theirs === null ? '' : `${show(c.ours)} : ${show(c.theirs)}`
}

function targets(list) {
  const rows = list.map(c => [
    c.what,
    c.target,
    figures(c),
    c.figure ? factor(c.value) : String(c.value ?? '–'),
    verdict(c),
  ])
  return table(['', 'target', 'figures', 'found', ''], rows, 3)
}

/**
 * The whole report of a run. `absent`: [{ engine, workload, why }] for what was asked for and cannot be.
 * Returns { text, met, judged }: how many of the targets that could be judged are met.
 */
export function report(summary, absent) {
  const parts = []
  let met = 0
  let judged = 0
  for (const [workload, title] of Object.entries(TITLES)) {
    const entries = summary.filter(s => s.workload === workload)
    const out = absent.filter(a => a.workload === workload)
    if (entries.length + out.length === 0) continue
    parts.push(`\n${workload} ${title}\n\n${engines(entries, out)}`)
    const list = checks(workload, entries)
    if (list.length) parts.push(`\n${targets(list)}`)
    met += list.filter(c => c.ok === true).length
    judged += list.filter(c => c.ok !== null).length
    for (const s of entries) if (s.detail) parts.push(`  ${s.engine}: ${s.detail}`)
    for (const a of out) parts.push(`  ${a.engine}: ${a.why}`)
    const noisy = entries.filter(s => s.noisy > 0).map(s => s.engine)
    if (noisy.length) parts.push(`  measured while the machine was busy: ${noisy.join(', ')}`)
  }
  return { text: parts.join('\n'), met, judged }
}
