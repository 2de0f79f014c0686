/** Window functions: npx tsx examples/windows.ts */
import { avg, lag, open, over, rank, string, sum, table, timestamp, u64, view } from 'gnitz'

const trades = table('trades', { id: u64().primaryKey(), symbol: string(), price: u64(), at: timestamp() })

const moves = view('moves', q =>
  q
    .from(trades)
    .window(
      { partitionBy: t => ({ symbol: t.symbol }), orderBy: [{ by: t => t.at }] },
      {
        previous: lag(t => t.price),
        total: sum(t => t.price),
        mean: over(
          avg(t => t.price),
          { range: [{ preceding: { minutes: 10 } }, 'current'] },
        ),
      },
    )
    .window({ orderBy: [{ by: t => t.price, desc: true }] }, { place: rank() })
    .map(({ id, symbol, previous, total, mean, place }) => ({ id, symbol, previous, total, mean, place })),
)

const db = open()
const live = db.createView(moves)
db.insert(trades, [
  { id: 1, symbol: 'abc', price: 10, at: '2024-05-01T09:00:00' },
  { id: 2, symbol: 'abc', price: 14, at: '2024-05-01T09:05:00' },
  { id: 3, symbol: 'xyz', price: 14, at: '2024-05-01T09:06:00' },
  { id: 4, symbol: 'abc', price: 12, at: '2024-05-01T09:15:00' },
])
console.log(live.rows())

// A correction: the rows after it in its partition, and ranks, follow.
live.subscribe(({ changes }) => {
  for (const { row, weight } of changes) console.log(weight > 0n ? '+' : '-', row.id, row.previous, row.mean, row.place)
})
db.transact(tx => {
  tx.delete(trades, { id: 2, symbol: 'abc', price: 14, at: '2024-05-01T09:05:00' })
  tx.insert(trades, { id: 2, symbol: 'abc', price: 16, at: '2024-05-01T09:05:00' })
})
