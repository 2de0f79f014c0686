/** Joins by range, near times, as-of joins, and rows that are not in another relation. */
import { count, f64, fn, open, string, table, timestamp, u64, view } from 'gnitz'

const trades = table('trades', { id: u64().primaryKey(), symbol: string(), at: timestamp(), price: f64() })
const quotes = table('quotes', { id: u64().primaryKey(), symbol: string(), at: timestamp(), bid: f64() })
const bands = table('bands', { name: string().primaryKey(), from: f64(), to: f64() })

// The last quote of the symbol before each trade, or none.
const quoted = view('quoted', q =>
  q.from(trades).asOfLeftJoin(
    quotes,
    (t, b) => t.symbol === b.symbol && b.at <= t.at,
    (t, b) => ({ id: t.id, price: t.price, bid: b.bid }),
  ),
)
// A point within an interval.
const banded = view('banded', q =>
  q
    .from(trades)
    .join(
      bands,
      (t, b) => t.price >= b.from && t.price < b.to,
      (t, b) => ({ id: t.id, band: b.name }),
    )
    .groupBy(r => ({ band: r.band }))
    .aggregate({ trades: count() }),
)
// Trades without a quote within a second.
const lonely = view('lonely', q =>
  q.from(trades).antiJoin(quotes, (t, b, { near }) => t.symbol === b.symbol && near(t.at, b.at, 1_000_000n), {
    near: fn.near,
  }),
)

const db = open()
const [a, b, c] = [db.createView(quoted), db.createView(banded), db.createView(lonely)]
db.insert(bands, [
  { name: 'low', from: 0, to: 50 },
  { name: 'all', from: 0, to: 1000 },
])
db.insert(quotes, [
  { id: 1, symbol: 'TEA', at: '2024-01-01T10:00:00', bid: 9 },
  { id: 2, symbol: 'TEA', at: '2024-01-01T10:00:05', bid: 11 },
])
db.insert(trades, [
  { id: 1, symbol: 'TEA', at: '2024-01-01T10:00:04', price: 10 },
  { id: 2, symbol: 'TEA', at: '2024-01-01T10:00:05', price: 60 },
  { id: 3, symbol: 'OIL', at: '2024-01-01T10:00:05', price: 70 },
])
console.log(
  a.rows(),
  b.rows(),
  c.rows().map(t => t.id),
)

// A quote that comes late changes the trades after it, and no others.
db.insert(quotes, [{ id: 3, symbol: 'TEA', at: '2024-01-01T10:00:03', bid: 10 }])
console.log(a.rows())
