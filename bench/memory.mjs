// What state costs: the bytes a view's operators hold after W2 to W6, against
// the bytes of the columns that must be kept somewhere. Those are counted by
// hand: the columns the view reads of every live input row it can need again,
// and the rows of the view, once each, without weights or keys.
import { create } from './adapters/gnitz.mjs'
import { deltaColumns, loadColumns } from './lib/columns.mjs'
import { makeWorkload, TITLES } from './lib/data.mjs'
import { referenceRows } from './lib/reference.mjs'
import { bytes, factor, table } from './lib/report.mjs'
import { answer, mark, measureApart, topicOptions, writeJson } from './lib/topic.mjs'

const TARGET = 2
// Bytes of a row: u32 4, u64 i64 f64 8. `input`: columns read of a live input row, 0 if only its group is needed.
const WIDTHS = {
  W2: { input: 0, view: 4 + 8 + 8 },
  W3: { input: 8 + 4 + 8, view: 8 + 4 + 8 },
  W4: { input: 4 + 8, view: 4 + 8 + 8 },
  W5: { input: 4 + 8, view: 4 + 8 + 8 },
  W6: { input: 8 + 4 + 8, view: 4 + 8 + 8 },
}
const CUSTOMER = 4 + 4

function run({ workload, scale }) {
  const w = makeWorkload(workload, scale)
  const inst = create(w, 'gnitz-columns')
  for (const b of loadColumns(w)) inst.apply(b)
  const operatorsLoaded = inst.stats().operators
  for (const spec of w.batches) inst.apply(deltaColumns(w, spec))
  const { operators } = inst.stats()
  const width = WIDTHS[workload]
  // The single changes of the workload are not applied here: as many inserted as deleted, give or take one.
  const input = w.alive.length * width.input + (w.nc && w.shape === 'orders' ? w.nc * CUSTOMER : 0)
  const columns = input + referenceRows(w).length * width.view
  const total = (list, key) => list.reduce((s, o) => s + o[key], 0)
  answer({
    workload,
    columns,
    used: total(operators, 'stateBytes'),
    held: total(operators, 'allocatedBytes'),
    heldLoaded: total(operatorsLoaded, 'allocatedBytes'),
    operators: operators.filter(o => o.stateRows > 0),
  })
}

function main(quick, json) {
  console.log(`Bytes of state against bytes of columns; target: held at most ${TARGET}×.\n`)
  const out = Object.keys(WIDTHS).map(workload => measureApart(import.meta.url, { workload, scale: quick ? 0.1 : 1 }))
  const rows = out.map(o => [
    `${o.workload} ${TITLES[o.workload]}`,
    bytes(o.columns),
    bytes(o.used),
    bytes(o.held),
    factor(o.used / o.columns),
    factor(o.held / o.columns),
    mark(o.held <= TARGET * o.columns),
    bytes(o.heldLoaded),
  ])
  console.log(table(['', 'columns', 'used', 'held', 'used ratio', 'held ratio', '', 'held after load'], rows))
  for (const o of out) {
    console.log(`\n  ${o.workload}`)
    for (const s of o.operators) {
      const cells = [`${s.stateRows} rows`, `${bytes(s.stateBytes)} used`, `${bytes(s.allocatedBytes)} held`]
      console.log(`    ${s.operator.padEnd(12)} ${cells.join(', ')}: ${s.detail}`)
    }
  }
  writeJson(json, out)
}

const options = topicOptions()
if (options.case) run(options.case)
else main(options.quick, options.json)
