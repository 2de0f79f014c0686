// How long a user waits for code: defining the demo's views (their lambdas are
// read then), creating each (in a process of its own, and after the others),
// the first rows through it (some kernels are compiled when they are first
// needed), and all kernels of schemas like those of the generated-code fixtures.
import { kernelsOf } from '../dist/codegen/kernels.js'
import { open } from '../dist/src/index.js'
import { arrangedLayout, rowSchema } from '../dist/src/schema/schema.js'
import { Batch } from '../dist/src/zset/batch.js'
import { Heap } from '../dist/src/zset/heap.js'
import { table, time } from './lib/report.mjs'
import { answer, mark, measureApart, quantile, topicOptions, writeJson } from './lib/topic.mjs'

const TARGET_MS = 20
const PROCESSES = 5

const VIEWS = ['veryLate', 'byOrigin', 'byHour', 'byRoute', 'byState', 'routes', 'lateShare', 'longest']
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

const FLIGHT = { id: 1, at: 0, delay: 99, distance: 500, origin: 'SFO', destination: 'LAX' }
const AIRPORT = { iata: 'SFO', name: 'San Francisco International', city: 'San Francisco', state: 'CA' }

/** Imported here and not above, so that making the definitions can be timed. */
async function createAll(names) {
  const started = performance.now()
  const { flights, airports, ...views } = await import('../dist/demo/views.js')
  const defineMs = performance.now() - started
  const db = open()
  db.createTable(flights)
  db.createTable(airports)
  const ms = {}
  for (const name of names) ms[name] = timed(() => db.createView(views[name]))
  const firstRowsMs = timed(() => {
    db.transact(tx => {
      tx.insert(flights, [FLIGHT, { ...FLIGHT, id: 2 }])
      tx.insert(airports, AIRPORT)
    })
    for (const v of db.views) v.rows()
  })
  return { defineMs, ms, firstRowsMs }
}

/** Compiles every kernel of a layout by calling it on batches of one row. */
function compileKernels({ specs, key }, name) {
  const layout = arrangedLayout(rowSchema(name, specs), key)
  const row = () => {
    const batch = new Batch(layout, 4)
    batch.weights[0] = 1n
    batch.length = 1
    return batch
  }
  const [a, b] = [row(), row()]
  const packed = new DataView(new ArrayBuffer(4096))
  return timed(() => {
    const k = kernelsOf(layout)
    k.compareRows(a, 0, b, 0)
    k.comparePayload(a, 0, b, 0)
    k.compareGroups(a, 0, b, 0)
    k.copyRow(a, 0, b, 0)
    k.consolidate(a, new Uint32Array(1), 1, new Batch(layout, 4))
    k.merge(a, b, new Batch(layout, 4), { i: 0, j: 0 }, 10)
    k.mergeAll([a, b], new Batch(layout, 4), new Int32Array(2), new Int32Array(2))
    k.seek(a, 0, b, 0)
    k.lookup(a, b, new BigInt64Array(1))
    k.encodePacked(a, 0, 1, packed, 0, new Heap())
    k.decodePacked(packed, 0, 1, new Uint8Array(0), new Batch(layout, 4))
    k.absorb(row(), b, new Int32Array(4))
  })
}

const CASES = {
  /** The named view in a process that has compiled nothing but what it reads. */
  cold: async ({ name }) => {
    const { ms, firstRowsMs } = await createAll([...(UPSTREAM[name] ?? []), name])
    return { ms: ms[name], firstRowsMs }
  },
  /** All views, one after another. */
  sequence: () => createAll(VIEWS),
  schema: ({ name }) => compileKernels(SCHEMAS[name], name),
}

const median = values => quantile(values, 0.5)

function main(quick, json) {
  const processes = quick ? 1 : PROCESSES
  const repeat = one => Array.from({ length: processes }, () => measureApart(import.meta.url, one))
  console.log(`Compiling, median of ${processes} process(es); target: every demo view under ${TARGET_MS} ms.\n`)
  const sequences = repeat({ kind: 'sequence' })
  const views = VIEWS.map(name => {
    const cold = repeat({ kind: 'cold', name })
    return {
      name,
      coldMs: median(cold.map(c => c.ms)),
      sequenceMs: median(sequences.map(s => s.ms[name])),
      firstRowsMs: median(cold.map(c => c.firstRowsMs)),
    }
  })
  const rows = views.map(v => [
    v.name,
    time(v.coldMs),
    mark(v.coldMs < TARGET_MS),
    time(v.sequenceMs),
    mark(v.sequenceMs < TARGET_MS),
    time(v.firstRowsMs),
  ])
  console.log(table(['view', 'alone', '', 'after the others', '', 'first rows, alone'], rows))
  const defineMs = median(sequences.map(s => s.defineMs))
  console.log(`\n  defining all ${VIEWS.length} of them, import included: ${time(defineMs)}`)
  const schemas = Object.keys(SCHEMAS).map(name => ({ name, ms: median(repeat({ kind: 'schema', name })) }))
  console.log('\nAll kernels of a schema, the first thing a process compiles\n')
  console.log(
    table(
      ['schema', 'time'],
      schemas.map(s => [s.name, time(s.ms)]),
    ),
  )
  writeJson(json, { defineMs, views, schemas })
}

const options = topicOptions()
if (options.case) answer(await CASES[options.case.kind](options.case))
else main(options.quick, options.json)
