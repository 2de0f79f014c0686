// The storage engine: every speed that it promises, as ratios to what the
// machine can do (plain writes, bare syncs, memcpy) or to other stores, taken
// in turns in one run. Each part has a process of its own.
import { answer, measureApart, topicOptions, writeJson } from './lib/topic.mjs'
import { inserts, reads } from './storage/compare.mjs'
import { render } from './storage/figures.mjs'
import { compact, memory, memoryOf, transmute } from './storage/merge.mjs'
import { lookup } from './storage/read.mjs'
import { commit, ingest, recovery } from './storage/write.mjs'

const apart = one => measureApart(import.meta.url, one)
const PARTS = {
  ingest,
  commit,
  transmute,
  compact,
  lookup,
  recovery,
  inserts,
  reads,
  memory: quick => memory(quick, apart),
}

async function run(one) {
  answer(one.memoryOf === undefined ? await PARTS[one.part](one.quick) : await memoryOf(one.memoryOf))
}

function main({ quick, json, only }) {
  const parts = only ?? Object.keys(PARTS)
  const unknown = parts.find(part => !(part in PARTS))
  if (unknown !== undefined) {
    console.error(`bench: storage has no part "${unknown}"; there are ${Object.keys(PARTS).join(', ')}`)
    process.exitCode = 2
    return
  }
  const all = []
  for (const part of parts) {
    const figures = apart({ part, quick })
    console.log(`\n${part}\n\n${render(figures)}`)
    all.push(...figures.map(figure => ({ part, ...figure })))
  }
  const judged = all.filter(figure => figure.ok !== null)
  const met = judged.filter(figure => figure.ok).length
  console.log(`\n${met} of ${judged.length} targets met${quick ? ' (they are meant for the whole data)' : ''}`)
  writeJson(json, all)
}

const options = topicOptions()
if (options.case) await run(options.case)
else main(options)
