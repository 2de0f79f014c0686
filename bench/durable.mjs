// Databases in directories: what they promise, as ratios to what the machine
// can do, to the same in memory, and to another store. Each part has a process
// of its own, and says how busy the machine was.
import { bulkLoad, largeState } from './durable/bulk.mjs'
import { commit } from './durable/commit.mjs'
import { constraints } from './durable/constraints.mjs'
import { openOnce, reopen, reopenOf } from './durable/reopen.mjs'
import { sqlite } from './durable/sqlite.mjs'
import { runParts } from './lib/parts.mjs'
import { answer, measureApart, topicOptions } from './lib/topic.mjs'

const apart = one => measureApart(import.meta.url, one)
const constraintsApart = one => measureApart(new URL('./constraints.mjs', import.meta.url), one)
const PARTS = { reopen, commit, load: bulkLoad, state: largeState, constraints, sqlite }

async function run(one) {
  if (one.openOf !== undefined) return answer(await openOnce(one.openOf.directory, one.openOf.rows))
  if (one.reopenOf !== undefined) return answer(await reopenOf(one.reopenOf, apart))
  answer(await PARTS[one.part](one.quick, apart, constraintsApart))
}

const options = topicOptions()
if (options.case) await run(options.case)
else runParts('durable', Object.keys(PARTS), options, part => apart({ part, quick: options.quick }))
