// W1 and W2, warm, must cause no scavenge: every batch of the measured half is
// made beforehand and moved out of the nursery, so that whatever is collected
// while the engine runs was allocated by the engine.
import { create } from './adapters/gnitz.mjs'
import { deltaBatch, loadBatches, rowMaker } from './lib/batches.mjs'
import { deltaColumns, loadColumns } from './lib/columns.mjs'
import { makeWorkload } from './lib/data.mjs'
import { GcCounter } from './lib/gc.mjs'
import { table } from './lib/report.mjs'
import { answer, mark, measureApart, topicOptions, writeJson } from './lib/topic.mjs'

const CASES = ['W1', 'W2'].flatMap(workload => ['gnitz-columns', 'gnitz'].map(engine => ({ engine, workload })))

function batchesOf(w, engine) {
  const columns = engine === 'gnitz-columns'
  const row = rowMaker(w)
  const load = [...(columns ? loadColumns(w) : loadBatches(w, row))]
  const deltas = w.batches.map(spec => (columns ? deltaColumns(w, spec) : deltaBatch(row, spec)))
  return deltas.length
    ? { warm: [...load, ...deltas.slice(0, deltas.length >> 1)], measured: deltas.slice(deltas.length >> 1) }
    : { warm: load.slice(0, load.length >> 1), measured: load.slice(load.length >> 1) }
}

async function run({ engine, workload, scale }) {
  const w = makeWorkload(workload, scale)
  const { warm, measured } = batchesOf(w, engine)
  const inst = create(w, engine)
  for (const b of warm) inst.apply(b)
  globalThis.gc()
  globalThis.gc()
  const counter = new GcCounter()
  await counter.minors([])
  const heapBefore = process.memoryUsage().heapUsed
  const from = performance.now()
  for (const b of measured) inst.apply(b)
  const to = performance.now()
  const grown = process.memoryUsage().heapUsed - heapBefore
  const scavenges = await counter.minors([[from, to]])
  const rows = measured.reduce((n, b) => n + b.changes, 0)
  answer({ engine, workload, scavenges, batches: measured.length, rows, bytesPerRow: grown / rows, ms: to - from })
}

function main(quick, json) {
  console.log('Scavenges in the second half of W1 (load) and W2 (deltas), batches made beforehand; target: none.\n')
  const out = CASES.map(c => measureApart(import.meta.url, { ...c, scale: quick ? 0.1 : 1 }))
  const rows = out.map(o => [
    `${o.workload} ${o.engine}`,
    String(o.batches),
    String(o.rows),
    String(o.scavenges),
    mark(o.scavenges === 0),
    o.scavenges === 0 ? o.bytesPerRow.toFixed(1) : '–',
  ])
  console.log(table(['', 'batches', 'rows', 'scavenges', '', 'heap bytes/row'], rows))
  writeJson(json, out)
}

const options = topicOptions()
if (options.case) await run(options.case)
else main(options.quick, options.json)
