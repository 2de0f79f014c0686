// gnitz, in memory.
//  gnitz:         plain row objects, as every other engine here receives them
//  gnitz-columns: typed arrays, as the limits receive them
// Inputs are declared streams: the database itself keeps no copy of their rows,
// only what the view needs (nothing in W1, the groups in W2, both sides in W3).
import { count, f64, i64, max, min, open, sum, table, u8, u32, u64, view } from '../../dist/src/index.js'

export const pkg = null

const supports = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7']

export const variants = {
  gnitz: { supports },
  'gnitz-columns': {
    supports: supports.slice(0, 6),
    why: { W7: 'single edges: nothing to gain from columns' },
    input: 'columns',
    warm,
  },
}

// The limits run warm (C has nothing to warm up, limit-js loads three times first), so gnitz-columns does too: another
// database with the same view takes the load and some deltas; the generated code is shared by circuit.
function warm(w, feed) {
  for (let round = 0; round < 2; round++) {
    const inst = create(w, 'gnitz-columns')
    for (const b of feed.load()) inst.apply(b)
    for (const spec of w.batches.slice(0, 20)) inst.apply(feed.delta(spec))
    for (const spec of w.singles) inst.apply(feed.delta(spec))
    inst.close()
  }
}

export const events = table(
  'events',
  { id: u64().primaryKey(), user: u32(), kind: u8(), amount: f64(), ts: i64() },
  { stream: true },
)
export const orders = table('orders', { id: u64().primaryKey(), customer_id: u32(), amount: f64() }, { stream: true })
export const customers = table('customers', { id: u32().primaryKey(), region: u32() }, { stream: true })
export const edges = table('edges', { src: u32(), dst: u32() }, { stream: true })
const TABLES = { events, orders, customers, edges }

const perUser = q => q.from(events).groupBy(r => ({ user: r.user }))
const joined = q =>
  q.from(orders).join(
    customers,
    (o, c) => o.customer_id === c.id,
    (o, c) => ({ id: o.id, region: c.region, amount: o.amount }),
  )

// Per workload: the view, and one of its rows as the numbers that are checked.
export const WL = {
  W1: {
    view: () =>
      view('v', q =>
        q
          .from(events)
          .filter(r => r.kind === 3 && r.amount > 500)
          .map(r => ({ id: r.id, user: r.user, amount2: r.amount * 2 })),
      ),
    numbers: r => [Number(r.id), r.user, r.amount2],
  },
  W2: {
    view: () => view('v', q => perUser(q).aggregate({ n: count(), s: sum(r => r.amount) })),
    numbers: r => [r.user, Number(r.n), r.s],
  },
  W3: {
    view: () => view('v', joined),
    numbers: r => [Number(r.id), r.region, r.amount],
  },
  W4: {
    view: () =>
      view('v', q =>
        joined(q)
          .groupBy(r => ({ region: r.region }))
          .aggregate({ n: count(), s: sum(r => r.amount) }),
      ),
    numbers: r => [r.region, Number(r.n), r.s],
  },
  W5: {
    view: () => view('v', q => perUser(q).aggregate({ mn: min(r => r.amount), mx: max(r => r.amount) })),
    numbers: r => [r.user, r.mn, r.mx],
  },
  W6: {
    view: () =>
      view('v', q =>
        q
          .from(orders)
          .groupBy(o => ({ customer_id: o.customer_id }))
          .top(3, { by: o => o.amount, desc: true }, { by: o => o.id }),
      ),
    numbers: r => [r.customer_id, Number(r.id), r.amount],
  },
  W7: {
    view: () =>
      view('v', q =>
        q.recursive(
          q.from(edges).map(e => ({ x: e.src, y: e.dst })),
          reach =>
            reach.join(
              edges,
              (r, e) => r.y === e.src,
              (r, e) => ({ x: r.x, y: e.dst }),
            ),
        ),
      ),
    numbers: r => [r.x, r.y],
  },
}

// Row objects: one transaction a batch. Empty lists are not sent.
function rowWriter(db, main) {
  return b =>
    db.transact(tx => {
      if (b.del.length) tx.delete(main, b.del)
      if (b.ins.length) tx.insert(main, b.ins)
      if (b.custIns.length) tx.insert(customers, b.custIns)
      for (const u of b.custUpd) {
        tx.delete(customers, u.old)
        tx.insert(customers, u.new)
      }
    })
}

// Columns: one transaction a batch too, the arrays of all its tables as they are.
function columnWriter(db) {
  return b =>
    db.transact(tx => {
      for (const t of b.tables) tx.ingest(TABLES[t.table], { columns: t.columns, weights: t.weights })
    })
}

export function create(w, variant) {
  const wl = WL[w.name]
  const db = open()
  const v = db.createView(wl.view())
  const main = { events, edges }[w.shape] ?? orders
  return {
    apply: variants[variant].input === 'columns' ? columnWriter(db) : rowWriter(db, main),
    rows: () => {
      const rows = []
      for (const { row, weight } of v.entries()) for (let i = 0n; i < weight; i++) rows.push(wl.numbers(row))
      return rows
    },
    stats: () => v.stats(),
    stateBytes: () => heldBytes(v.stats()),
    close: () => db.close(),
  }
}

/** Bytes of memory held for the state of all operators of a view, the view's own rows included. */
export function heldBytes(stats) {
  return stats.operators.reduce((bytes, o) => bytes + o.allocatedBytes, 0)
}
