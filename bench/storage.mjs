// The storage engine: every speed that it promises, as ratios to what the
// machine can do (plain writes, bare syncs, memcpy) or to other stores, taken
// in turns in one run. Each part has a process of its own.
import { runParts } from './lib/parts.mjs'
import { answer, measureApart, topicOptions } from './lib/topic.mjs'
import { inserts, reads } from './storage/compare.mjs'
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

const options = topicOptions()
if (options.case) await run(options.case)
else runParts('storage', Object.keys(PARTS), options, part => apart({ part, quick: options.quick }))
