/** A random sample that follows its table, and the rows around a key. */
import { open, table, u32, view } from 'gnitz'

const readings = table('readings', { id: u32().primaryKey(), sensor: u32(), value: u32() })
const some = view('some', q => q.from(readings).sample(3, { seed: 1 }))
const each = view('each', q =>
  q
    .from(readings)
    .groupBy(r => ({ sensor: r.sensor }))
    .sample(1),
)

const db = open()
const [sample, perSensor] = [db.createView(some), db.createView(each)]
db.insert(
  readings,
  Array.from({ length: 1000 }, (_, id) => ({ id, sensor: id % 2, value: id * id })),
)
const before = sample.rows()
console.log(before, perSensor.size)
db.delete(readings, before[0])
console.log(sample.rows()) // the next one has moved up

const table_ = db.table(readings)
const around = (key: number, n: number) => [
  ...[...table_.range({ after: key, reverse: true, limit: n })].reverse(),
  ...table_.range({ from: key, limit: n + 1 }),
]
console.log(around(500, 2).map(r => r.id))
