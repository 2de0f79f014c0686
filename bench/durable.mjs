// Databases in directories: what they promise, as ratios to what the machine
// can do, to the same in memory, and to another store. Each part has a process
// of its own, and says how busy the machine was.
import { cpus, loadavg } from 'node:os'
import { bulkLoad, largeState } from './durable/bulk.mjs'
import { commit } from './durable/commit.mjs'
import { constraints } from './durable/constraints.mjs'
import { openOnce, reopen, reopenOf } from './durable/reopen.mjs'
import { sqlite } from './durable/sqlite.mjs'
import { answer, measureApart, topicOptions, writeJson } from './lib/topic.mjs'
import { render } from './storage/figures.mjs'

const apart = one => measureApart(import.meta.url, one)
const constraintsApart = one => measureApart(new URL('./constraints.mjs', import.meta.url), one)
const PARTS = { reopen, commit, load: bulkLoad, state: largeState, constraints, sqlite }

async function run(one) {
  if (one.openOf !== undefined) return answer(await openOnce(one.openOf.directory, one.openOf.rows))
  if (one.reopenOf !== undefined) return answer(await reopenOf(one.reopenOf, apart))
  answer(await PARTS[one.part](one.quick, apart, constraintsApart))
}

function main({ quick, json, only }) {
  const parts = only ?? Object.keys(PARTS)
  const unknown = parts.find(part => !(part in PARTS))
  if (unknown !== undefined) {
    console.error(`bench: durable has no part "${unknown}"; there are ${Object.keys(PARTS).join(', ')}`)
    process.exitCode = 2
    return
  }
  console.log(`${cpus().length} × ${cpus()[0].model}, node ${process.version}`)
  const all = []
  for (const part of parts) {
    const before = loadavg()[0]
    const figures = apart({ part, quick })
    const load = [before, loadavg()[0]]
    console.log(`\n${part} (load of the machine ${load.map(l => l.toFixed(1)).join(' to ')})\n\n${render(figures)}`)
    all.push(...figures.map(figure => ({ part, load, ...figure })))
  }
  const judged = all.filter(figure => figure.ok !== null)
  const met = judged.filter(figure => figure.ok).length
  console.log(`\n${met} of ${judged.length} targets met${quick ? ' (they are meant for the whole data)' : ''}`)
  writeJson(json, all)
}

const options = topicOptions()
if (options.case) await run(options.case)
else main(options)
