// How long a user waits for code: creating each view of the demo (in a process
// of its own, and after the other views), and the kernels of the schemas that
// the generated-code fixtures show.
import { kernelsOf } from '../dist/codegen/kernels.js'
import {
  airports,
  byHour,
  byOrigin,
  byRoute,
  byState,
  flights,
  lateShare,
  longest,
  routes,
  veryLate,
} from '../dist/demo/views.js'
import { open } from '../dist/src/index.js'
import { arrangedLayout, rowSchema } from '../dist/src/schema/schema.js'
import { table, time } from './lib/report.mjs'
import { answer, mark, measureApart, quantile, topicOptions, writeJson } from './lib/topic.mjs'

const TARGET_MS = 20
const PROCESSES = 5

const VIEWS = { veryLate, byOrigin, byHour, byRoute, byState, routes, lateShare, longest }
/** Views that are there before a view is created, as in the demo. */
const UPSTREAM = { lateShare: ['veryLate', 'byOrigin'], longest: ['veryLate'] }

const column = (name, type, nullable = false) => ({ name, type, nullable })
const SCHEMAS = {
  'one integer key': { key: [0], specs: [column('id', 'u64'), column('amount', 'i64')] },
  'composite key': { key: [0, 1], specs: [column('a', 'u32'), column('b', 'i64'), column('price', 'f64')] },
  'nullable text': { key: [0], specs: [column('id', 'u64'), column('note', 'string', true)] },
  'hostile names': {
    key: [0],
    specs: [column('__proto__', 'u64'), column('"); throw 1; //', 'i32'), column('*/\n', 'string')],
  },
  'forty columns': {
    key: [0],
    specs: [
      column('id', 'u64'),
      ...Array.from({ length: 39 }, (_, i) => column(`c${i}`, ['i32', 'f64', 'i64'][i % 3])),
    ],
  },
}

const timed = work => {
  const t = performance.now()
  work()
  return performance.now() - t
}

function createAll(names) {
  const db = open()
  db.createTable(flights)
  db.createTable(airports)
  const ms = {}
  for (const name of names) ms[name] = timed(() => db.createView(VIEWS[name]))
  return ms
}

const CASES = {
  /** The named view in a process that has compiled nothing but what it reads. */
  cold: ({ name }) => createAll([...(UPSTREAM[name] ?? []), name])[name],
  /** All views, one after another. */
  sequence: () => createAll(Object.keys(VIEWS)),
  schema: ({ name }) => {
    const { specs, key } = SCHEMAS[name]
    const layout = arrangedLayout(rowSchema(name, specs), key)
    return timed(() => kernelsOf(layout))
  },
}

function main(quick, json) {
  const processes = quick ? 1 : PROCESSES
  const repeat = one => Array.from({ length: processes }, () => measureApart(import.meta.url, one))
  console.log(`Compiling, median of ${processes} process(es); target: every demo view under ${TARGET_MS} ms.\n`)
  const sequences = repeat({ kind: 'sequence' })
  const views = Object.keys(VIEWS).map(name => ({
    name: VIEWS[name].name,
    coldMs: quantile(repeat({ kind: 'cold', name }), 0.5),
    sequenceMs: quantile(
      sequences.map(s => s[name]),
      0.5,
    ),
  }))
  const rows = views.map(v => [
    v.name,
    time(v.coldMs),
    mark(v.coldMs < TARGET_MS),
    time(v.sequenceMs),
    mark(v.sequenceMs < TARGET_MS),
  ])
  console.log(table(['view', 'alone', '', 'after the others', ''], rows))
  const schemas = Object.keys(SCHEMAS).map(name => ({ name, ms: quantile(repeat({ kind: 'schema', name }), 0.5) }))
  console.log('\nAll kernels of a schema, the first thing a process compiles\n')
  console.log(
    table(
      ['schema', 'time'],
      schemas.map(s => [s.name, time(s.ms)]),
    ),
  )
  writeJson(json, { views, schemas })
}

const options = topicOptions()
if (options.case) answer(CASES[options.case.kind](options.case))
else main(options.quick, options.json)
