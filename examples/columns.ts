/** Bulk data as columns, into a stream: a table whose rows are not kept. */
import { avg, count, open, string, table, timestamp, u32, view } from 'gnitz'

const readings = table(
  'readings',
  { sensor: u32(), at: timestamp(), unit: string(), value: u32().nullable() },
  { stream: true },
)
const means = view('means', q =>
  q
    .from(readings)
    .groupBy(r => ({ sensor: r.sensor }))
    .aggregate({ readings: count(), mean: avg(r => r.value) }),
)

const db = open()
const live = db.createView(means)
db.ingest(readings, {
  columns: {
    sensor: Uint32Array.of(7, 7, 8), // a typed array of the column's own class is not copied
    at: BigInt64Array.of(0n, 1_000_000n, 2_000_000n),
    unit: ['°C', '°C', '°C'],
    value: [20, 23, null],
  },
})
console.log(live.rows())
