// The kernels every trace is made of, rows per second: merge of two sorted
// runs, sort of a permutation by key, arrange (sort and consolidate), each
// specialised to its layout and generic, from one narrow row to 200 columns.
import { kernelsOf } from '../dist/codegen/kernels.js'
import { arrangedLayout, rowSchema } from '../dist/src/schema/schema.js'
import { Arranger } from '../dist/src/zset/arrange.js'
import { Batch } from '../dist/src/zset/batch.js'
import { encodeString } from '../dist/src/zset/strings.js'
import { factor, rate, table } from './lib/report.mjs'
import { Lcg } from './lib/rng.mjs'
import { quantile, topicOptions, writeJson } from './lib/topic.mjs'

const REPEATS = { compiled: 7, generic: 3 }
const column = (name, type, nullable = false) => ({ name, type, nullable })
const many = (n, types) => Array.from({ length: n }, (_, i) => column(`c${i}`, types[i % types.length]))

// `rows` are the rows of a merge's output; a wide row gets fewer of them.
const SHAPES = [
  {
    name: 'u64 key, 4 columns',
    key: [0],
    specs: [column('id', 'u64'), ...many(4, ['u32', 'f64', 'i64', 'u8'])],
    rows: 1_000_000,
  },
  {
    name: '96-bit key, 4 columns',
    key: [0, 1],
    specs: [column('a', 'u32'), column('b', 'u64'), ...many(4, ['i32', 'f64', 'i64', 'u16'])],
    rows: 1_000_000,
  },
  {
    name: 'u64 key, nullable text',
    key: [0],
    specs: [column('id', 'u64'), column('note', 'string', true), column('n', 'i64')],
    rows: 500_000,
  },
  {
    name: 'u64 key, 40 columns',
    key: [0],
    specs: [column('id', 'u64'), ...many(40, ['i32', 'f64', 'i64'])],
    rows: 100_000,
  },
  {
    name: 'u64 key, 200 columns',
    key: [0],
    specs: [column('id', 'u64'), ...many(200, ['i32', 'f64', 'i64'])],
    rows: 20_000,
  },
]

const NOTES = ['paid', 'a longer remark that does not fit into the cell', '', 'due on Monday']

/** The keys 0..n-1 shuffled, and the same dealt out to two sorted runs by the toss of a coin. */
function keysOf(n) {
  const rng = new Lcg(17)
  const shuffled = Uint32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = rng.below(i + 1)
    const t = shuffled[i]
    shuffled[i] = shuffled[j]
    shuffled[j] = t
  }
  const runs = [[], []]
  for (let k = 0; k < n; k++) runs[rng.below(2)].push(k)
  return { shuffled, runs }
}

function fill(batch, keys) {
  const n = keys.length
  batch.reserve(n)
  const rng = new Lcg(18)
  const lanes = batch.layout.key.words * 2
  for (let i = 0; i < n; i++) batch.keys32[i * lanes] = keys[i]
  batch.weights.fill(1n, 0, n)
  for (const c of batch.layout.stored) fillColumn(batch, c, n, rng)
  batch.length = n
  return batch
}

function fillColumn(batch, c, n, rng) {
  const array = batch.columns[c.index]
  if (c.type === 'string') {
    for (let i = 0; i < n; i++) encodeString(NOTES[rng.below(NOTES.length)], array, i * 4, batch.heap)
  } else if (array instanceof BigInt64Array) {
    for (let i = 0; i < n; i++) array[i] = BigInt(rng.next())
  } else {
    for (let i = 0; i < n; i++) array[i] = rng.below(1000)
  }
}

/** Rows per second, the median of some repetitions after as many to warm up. */
function speed(rows, repeats, prepare, work) {
  const ms = []
  for (let k = 0; k < repeats * 2; k++) {
    const state = prepare()
    const t = performance.now()
    work(state)
    if (k >= repeats) ms.push(performance.now() - t)
  }
  return rows / (quantile(ms, 0.5) / 1000)
}

function measureShape(shape, mode, scale) {
  const n = Math.round(shape.rows * scale)
  const layout = arrangedLayout(rowSchema(shape.name, shape.specs), shape.key)
  const kernels = kernelsOf(layout, mode)
  const keys = keysOf(n)
  const [a, b] = keys.runs.map(k => fill(new Batch(layout, k.length), k))
  a.order = b.order = 'consolidated'
  const out = new Batch(layout, n)
  const repeats = REPEATS[mode]
  const merge = speed(
    n,
    repeats,
    () => {
      out.clear()
      return { i: 0, j: 0 }
    },
    state => {
      while (!kernels.merge(a, b, out, state, n + 1));
    },
  )
  if (out.length !== n) throw new Error(`${shape.name}: expected ${n} merged rows, found ${out.length}`)
  const arranger = new Arranger(kernels)
  fill(arranger.raw, keys.shuffled)
  const arrange = speed(
    n,
    repeats,
    () => new Batch(layout, n),
    target => arranger.arrange(target),
  )
  return { merge, arrange }
}

const options = topicOptions()
const scale = options.quick ? 0.1 : 1
console.log('Kernels, rows per second; the ratio is specialised against generic.\n')
const found = SHAPES.map(shape => {
  const compiled = measureShape(shape, 'compiled', scale)
  const generic = measureShape(shape, 'generic', scale)
  const columns = shape.specs.length
  return { shape: shape.name, columns, compiled, generic, mergeNsPerCell: 1e9 / compiled.merge / columns }
})
const rows = found.map(f => [
  f.shape,
  rate(f.compiled.merge),
  rate(f.generic.merge),
  factor(f.compiled.merge / f.generic.merge),
  f.mergeNsPerCell.toFixed(1),
  rate(f.compiled.arrange),
  rate(f.generic.arrange),
  factor(f.compiled.arrange / f.generic.arrange),
])
console.log(table(['', 'merge', 'generic', 'ratio', 'ns/cell', 'arrange', 'generic', 'ratio'], rows))
writeJson(options.json, found)
