import { count, i64, open, string, table, u64, view } from 'gnitz'

const devices = table('devices', { id: u64().primaryKey(), room: string() })
const readings = table('readings', { device: u64(), second: i64(), degrees: i64() })

const perRoom = view(
  'perRoom',
  q =>
    q.from(readings).join(
      devices,
      (r, d) => r.device === d.id,
      (r, d) => ({ room: d.room, second: r.second, degrees: r.degrees }),
    ),
  { waterline: { column: 'second', lateness: 10 } },
)
const minutes = view('minutes', q =>
  q
    .from(perRoom)
    .tumble(r => r.second, 60)
    .groupBy(r => ({ room: r.room, windowEnd: r.windowEnd }))
    .aggregate({ readings: count() }),
)

const db = open()
const rooms = db.createView(perRoom)
const counts = db.createView(minutes)
rooms.late.subscribe(({ changes }) => console.log('late:', ...changes.map(c => [c.row.room, c.row.second, c.weight])))

db.insert(devices, { id: 1, room: 'hall' })
db.insert(readings, [
  { device: 1, second: 30, degrees: 20 },
  { device: 1, second: 75, degrees: 21 },
])
// The waterline of the view is at 65 now: a device that comes later brings rows too late.
db.insert(readings, { device: 2, second: 66, degrees: 19 })
db.insert(readings, { device: 2, second: 40, degrees: 19 })
db.insert(devices, { id: 2, room: 'attic' })
console.log(counts.rows())
console.log(rooms.waterline(), rooms.late.count)
console.log(
  counts
    .plan()
    .split('\n')
    .find(line => line.includes('bounded')),
)
