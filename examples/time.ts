/** Event time: windows, late rows, final results, the clock, and state that does not grow. */
import { avg, count, fn, i64, open, string, sum, table, timestamptz, u64, view } from 'gnitz'

const bids = table(
  'bids',
  { at: timestamptz().lateness('5 seconds'), auction: u64(), bidder: string(), price: i64() },
  { stream: true },
)

/** One row a window, once nothing can change it any more. */
const perMinute = view('perMinute', q =>
  q
    .from(bids)
    .tumble(b => b.at, '1 minute')
    .groupBy(b => ({ windowStart: b.windowStart, windowEnd: b.windowEnd }))
    .aggregate({ bids: count(), total: sum(b => b.price) })
    .emitFinal(w => w.windowEnd),
)

/** Bids of one bidder that are at most 30 seconds apart. */
const visits = view('visits', q =>
  q
    .from(bids)
    .session(b => b.at, '30 seconds', { by: b => ({ bidder: b.bidder }) })
    .groupBy(b => ({ bidder: b.bidder, from: b.windowStart, to: b.windowEnd }))
    .aggregate({ bids: count() }),
)

/** Each bid with the mean price of a minute. */
const moving = view('moving', q =>
  q
    .from(bids)
    .rolling(
      { at: b => b.at, by: b => ({ auction: b.auction }), range: '1 minute' },
      { mean: avg(b => Number(b.price)) },
    )
    .map(b => ({ price: b.price, mean: b.mean })),
)

/** What the clock has not left more than 90 seconds behind. */
const recent = view('recent', q =>
  q
    .from(bids)
    .filter((b, { ago }) => b.at >= ago('90 seconds'), { ago: fn.ago })
    .map(b => ({ at: b.at, price: b.price })),
)

const db = open()
const finals = db.createView(perMinute)
const sessions = db.createView(visits)
const means = db.createView(moving)
const last = db.createView(recent)
const at = (text: string) => `2024-05-01T12:${text}Z`
const clock = (micros: bigint) => new Date(Number(micros / 1000n)).toISOString().slice(14, 19)
db.table(bids).late.subscribe(({ changes }) => {
  for (const { row } of changes) console.log('late:', clock(row.at), row.bidder)
})

db.insert(bids, [
  { at: at('00:10'), auction: 1, bidder: 'ann', price: 10 },
  { at: at('00:30'), auction: 1, bidder: 'ben', price: 12 },
  { at: at('00:50'), auction: 1, bidder: 'ann', price: 14 },
])
console.log('final:', finals.count(), 'sessions:', sessions.count())
db.insert(bids, { at: at('01:04'), auction: 1, bidder: 'ann', price: 18 })
// The waterline is at 00:59 now.
db.insert(bids, { at: at('00:58'), auction: 1, bidder: 'cid', price: 99 })
db.insert(bids, { at: at('00:59'), auction: 1, bidder: 'ben', price: 16 })
db.insert(bids, { at: at('01:30'), auction: 1, bidder: 'ben', price: 20 })
for (const w of finals) console.log(clock(w.windowStart), w.bids, 'bids', w.total)
for (const s of sessions) console.log(s.bidder, clock(s.from), clock(s.to), s.bids)
console.log(means.rows().map(m => m.mean))

db.advance(at('01:45'))
console.log('recent:', last.count())
db.advance(at('02:30'), { maxRows: 1 })
console.log('recent:', last.count())
console.log(finals.plan())
