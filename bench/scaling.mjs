// Does a change cost what the change is worth, or what the data are worth?
// The same 1,000-change batches (500 rows inserted, 500 random old ones
// retracted) on a small and a large state, for a join with an aggregate, a
// group-by whose state is its groups, and min/max. Batches are columns, so that
// the engine is measured and not the reading of row objects.
import { count, f64, max, min, open, sum, table, u32, u64, view } from '../dist/src/index.js'
import { Alive } from './lib/data.mjs'
import { factor, rate, table as text, time } from './lib/report.mjs'
import { Lcg } from './lib/rng.mjs'
import { answer, mark, measureApart, quantile, topicOptions, writeJson } from './lib/topic.mjs'

const TARGET = 2
const CHANGES = 1000
const LOAD_BATCH = 50_000
const WARM_BATCHES = 200
const BATCHES = 400

const orders = table('orders', { id: u64().primaryKey(), customer: u32(), amount: f64() }, { stream: true })
const customers = table('customers', { id: u32().primaryKey(), region: u32() }, { stream: true })

const perCustomer = q => q.from(orders).groupBy(o => ({ customer: o.customer }))
// `owners`: how many customers the orders of a state of n rows belong to.
const CASES = {
  'join + aggregate': {
    owners: n => n / 10,
    view: q =>
      q
        .from(orders)
        .join(
          customers,
          (o, c) => o.customer === c.id,
          (o, c) => ({ region: c.region, amount: o.amount }),
        )
        .groupBy(r => ({ region: r.region }))
        .aggregate({ n: count(), total: sum(r => r.amount) }),
  },
  'group-by': { owners: n => n, view: q => perCustomer(q).aggregate({ n: count(), total: sum(o => o.amount) }) },
  'min/max': {
    owners: n => n / 100,
    view: q => perCustomer(q).aggregate({ least: min(o => o.amount), most: max(o => o.amount) }),
  },
}

// Order r: in the group-by the first n orders have n different customers, so that the state has n rows.
function makeData(n, owners, total) {
  const rng = new Lcg(91)
  const customer = new Uint32Array(total)
  const amount = new Float64Array(total)
  for (let r = 0; r < total; r++) {
    customer[r] = 1 + (owners === n && r < n ? r : rng.below(owners))
    amount[r] = 1 + rng.below(1_000_000)
  }
  return { rng, customer, amount }
}

function gather(data, rows, deleted) {
  const n = rows.length
  const id = new BigUint64Array(n)
  const halves = new Uint32Array(id.buffer)
  const customer = new Uint32Array(n)
  const amount = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    const r = rows[i]
    halves[2 * i] = r + 1
    customer[i] = data.customer[r]
    amount[i] = data.amount[r]
  }
  const weights = new BigInt64Array(n).fill(-1n, 0, deleted).fill(1n, deleted)
  return { columns: { id, customer, amount }, weights }
}

function loadCustomers(db, owners) {
  for (let from = 0; from < owners; from += LOAD_BATCH) {
    const n = Math.min(LOAD_BATCH, owners - from)
    const id = Uint32Array.from({ length: n }, (_, i) => from + i + 1)
    db.ingest(customers, { columns: { id, region: id.map(c => c % 100) } })
  }
}

function run({ name, n }) {
  const owners = CASES[name].owners(n)
  const half = CHANGES / 2
  const total = n + (WARM_BATCHES + BATCHES) * half
  const data = makeData(n, owners, total)
  const alive = new Alive(total)
  const db = open()
  db.createTable(orders)
  db.createTable(customers)
  const v = db.createView(view('v', CASES[name].view))
  if (name.startsWith('join')) loadCustomers(db, owners)
  const started = performance.now()
  let top = 0
  while (top < n) {
    const rows = Int32Array.from({ length: Math.min(LOAD_BATCH, n - top) }, (_, i) => top + i)
    db.ingest(orders, gather(data, rows, 0))
    for (const r of rows) alive.add(r)
    top += rows.length
  }
  const loadMs = performance.now() - started
  const rows = new Int32Array(CHANGES)
  const lat = []
  for (let b = 0; b < WARM_BATCHES + BATCHES; b++) {
    for (let i = 0; i < half; i++) {
      const r = alive.pick(data.rng)
      alive.remove(r)
      rows[i] = r
    }
    for (let i = half; i < CHANGES; i++) {
      rows[i] = top
      alive.add(top++)
    }
    const batch = gather(data, rows, half)
    const t = performance.now()
    db.ingest(orders, batch)
    if (b >= WARM_BATCHES) lat.push(performance.now() - t)
  }
  const counted = v.entries().reduce((s, e) => s + Number(e.row.n ?? 0n), 0)
  if ('n' in (v.entries()[0]?.row ?? {}) && counted !== n)
    throw new Error(`expected ${n} rows counted, found ${counted}`)
  answer({
    p50: quantile(lat, 0.5),
    p99: quantile(lat, 0.99),
    max: quantile(lat, 1),
    loadRowsPerS: n / (loadMs / 1000),
  })
}

function main(quick, json) {
  const [small, large] = quick ? [50_000, 500_000] : [50_000, 5_000_000]
  console.log(
    `Median cost of a ${CHANGES}-change batch; target: at most ${TARGET}× from the small to the large state.\n`,
  )
  const out = []
  for (const name of Object.keys(CASES)) {
    const a = measureApart(import.meta.url, { name, n: small })
    const b = measureApart(import.meta.url, { name, n: large })
    out.push({ name, rows: [small, large], small: a, large: b, ratio: b.p50 / a.p50 })
  }
  const rows = out.map(o => [
    o.name,
    time(o.small.p50),
    time(o.large.p50),
    factor(o.ratio),
    mark(o.ratio <= TARGET),
    time(o.small.p99),
    time(o.large.p99),
    time(o.large.max),
    `${rate(o.large.loadRowsPerS)}/s`,
  ])
  const [s, l] = [rate(small), rate(large)]
  console.log(text(['view', s, l, 'ratio', '', `p99 ${s}`, `p99 ${l}`, `max ${l}`, `load ${l}`], rows))
  writeJson(json, out)
}

const options = topicOptions()
if (options.case) run(options.case)
else main(options.quick, options.json)
