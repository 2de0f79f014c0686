// What constraints and indexes cost: ingest of one table without any, against
// the same table with each. In batches of 10,000 rows given as columns, and in
// transactions of one row. Times are those of the processor, so that a busy
// machine blurs the ratios less. Each case has a process of its own.
import { i64, open, string, table, u64 } from '../dist/src/index.js'
import { factor, rate, table as textTable } from './lib/report.mjs'
import { Lcg } from './lib/rng.mjs'
import { answer, mark, measureApart, topicOptions, writeJson } from './lib/topic.mjs'

const BATCH = 10_000
const CUSTOMERS = 100_000
const TARGET = 2
const RUNS = 3

const customers = table('customers', { id: u64().primaryKey({ unique: true }), region: string() })
const FOREIGN = { foreignKey: ['customer'], references: customers }

// `indexes` are there without a constraint: what keeping them costs alone.
const CASES = {
  bare: {},
  check: { constraints: { amount: { check: o => o.amount > 0n && o.customer !== o.code } }, judged: true },
  'primary key': { uniqueKey: true, judged: true },
  'foreign key': { constraints: { customer: FOREIGN }, judged: true },
  'cascading key': { constraints: { customer: { ...FOREIGN, onDelete: 'cascade' } } },
  unique: { constraints: { code: { unique: ['code'] } }, judged: true },
  'index on code': { indexes: { code: { on: ['code'] } } },
  'index on customer': { indexes: { customer: { on: ['customer'] } } },
  'index on note': { indexes: { note: { on: ['note'] } } },
  'key, check, foreign key': {
    uniqueKey: true,
    constraints: { amount: { check: o => o.amount > 0n }, customer: FOREIGN },
  },
}

/** Every number below n once, in an order without pattern: an affine map modulo a power of two, cut to n. */
function* scattered(n) {
  const size = 2 ** Math.ceil(Math.log2(n))
  for (let k = 0, x = 7; k < size; k++) {
    x = (x * 1_664_525 + 1_013_904_223) % size
    if (x < n) yield x
  }
}

function* batches(rows) {
  const rng = new Lcg(5)
  const codes = scattered(rows)
  for (let from = 0; from < rows; from += BATCH) {
    const n = Math.min(BATCH, rows - from)
    const columns = {
      id: BigUint64Array.from({ length: n }, (_, i) => BigInt(from + i)),
      customer: BigUint64Array.from({ length: n }, () => BigInt(rng.below(CUSTOMERS))),
      code: BigUint64Array.from({ length: n }, () => BigInt(codes.next().value) << 20n),
      amount: BigInt64Array.from({ length: n }, () => BigInt(1 + rng.below(1000))),
      note: Array.from({ length: n }, (_, i) => (i % 4 === 0 ? 'a longer remark' : 'paid')),
    }
    yield { columns }
  }
}

const cpu = () => process.cpuUsage().user / 1000

function run({ name, rows, singles }) {
  const { indexes, constraints, uniqueKey } = CASES[name]
  const orders = table(
    'orders',
    { id: u64(), customer: u64(), code: u64(), amount: i64(), note: string() },
    { primaryKey: ['id'], uniqueKey, indexes, constraints },
  )
  const db = open()
  db.createTable(customers)
  db.createTable(orders)
  db.ingest(customers, {
    columns: {
      id: BigUint64Array.from({ length: CUSTOMERS }, (_, i) => BigInt(i)),
      region: Array.from({ length: CUSTOMERS }, () => 'north'),
    },
  })
  let bulk = 0
  let count = 0
  for (const batch of batches(rows)) {
    const started = cpu()
    db.ingest(orders, batch)
    // The first tenth warms up.
    if (++count * BATCH * 10 > rows) bulk += cpu() - started
  }
  const rng = new Lcg(9)
  const row = i => ({
    id: rows + i,
    customer: rng.below(CUSTOMERS),
    code: 2 ** 45 + i * 7919,
    amount: 5,
    note: 'paid',
  })
  const made = Array.from({ length: singles * 2 }, (_, i) => row(i))
  for (let i = 0; i < singles; i++) db.insert(orders, made[i])
  const started = cpu()
  for (let i = singles; i < singles * 2; i++) db.insert(orders, made[i])
  const single = ((cpu() - started) * 1000) / singles
  answer({ name, nsPerRow: (bulk * 1e6) / (rows * 0.9), usPerSingle: single })
}

const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]

function main({ quick, json, only }) {
  const rows = quick ? 200_000 : 2_000_000
  const names = only ?? Object.keys(CASES)
  console.log(`Ingest of ${rows} rows, in batches of ${BATCH} and one by one; target: ${TARGET}× of a table without.\n`)
  const runs = new Map(['bare', ...names].map(name => [name, []]))
  for (let n = 0; n < (quick ? 1 : RUNS); n++) {
    for (const [name, list] of runs)
      list.push(measureApart(import.meta.url, { name, rows, singles: quick ? 20_000 : 100_000 }))
  }
  const figures = [...runs].map(([name, list]) => ({
    name,
    nsPerRow: median(list.map(r => r.nsPerRow)),
    usPerSingle: median(list.map(r => r.usPerSingle)),
  }))
  const [bare] = figures
  const lines = figures.map(f => {
    const [bulk, single] = [f.nsPerRow / bare.nsPerRow, f.usPerSingle / bare.usPerSingle]
    const judge = ratio => (CASES[f.name].judged ? mark(ratio <= TARGET) : '')
    return [
      f.name,
      `${rate(1e9 / f.nsPerRow)}/s`,
      factor(bulk),
      judge(bulk),
      `${f.usPerSingle.toFixed(2)} µs`,
      factor(single),
      judge(single),
    ]
  })
  console.log(textTable(['', 'batches', 'ratio', '', 'one row', 'ratio', ''], lines))
  writeJson(json, figures)
}

const options = topicOptions()
if (options.case) run(options.case)
else main(options)
