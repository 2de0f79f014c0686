/** Arrays, maps, structs, json, decimals, intervals and time zones as columns and in lambdas. */
import {
  array,
  decimal,
  fn,
  i64,
  interval,
  json,
  map,
  open,
  string,
  struct,
  table,
  timestamptz,
  u64,
  view,
} from 'gnitz'

const orders = table('orders', {
  id: u64().primaryKey(),
  tags: array(string()),
  stock: map(string(), i64()),
  address: struct({ city: string(), lines: array(string()) }),
  event: json<{ kind: string; items: { sku: string }[] }>().nullable(),
  price: decimal(10, 2),
  patience: interval(),
  at: timestamptz(),
})

const told = view('told', q =>
  q.from(orders).map(
    (o, { fn }) => ({
      id: o.id,
      first: o.tags[0],
      urgent: o.tags.includes('urgent'),
      oslo: o.stock.get('oslo'),
      to: { city: o.address.city, lines: o.address.lines.length },
      sku: fn.text(fn.get(o.event, 'items', 0, 'sku')),
      gross: fn.round(fn.mul(o.price, '1.25'), 2),
      due: fn.toZone(fn.add(o.at, o.patience), 'Europe/Oslo'),
    }),
    { fn },
  ),
)
const tags = view('tags', q =>
  q
    .from(orders)
    .unnest(o => o.tags, 'tag', { ordinality: 'place' })
    .map(o => ({ tag: o.tag, id: o.id, place: o.place })),
)

const db = open()
const [all, byTag] = [db.createView(told), db.createView(tags)]
db.insert(orders, [
  {
    id: 1,
    tags: ['urgent', 'cold'],
    stock: { oslo: 3n },
    address: { city: 'Bergen', lines: ['Bryggen 1'] },
    event: { kind: 'web', items: [{ sku: 'tea' }] },
    price: '12.50',
    patience: '1 month 2 hours',
    at: '2024-01-31T10:00:00Z',
  },
  {
    id: 2,
    tags: [],
    stock: [],
    address: { city: 'Tartu', lines: [] },
    price: 3,
    patience: {},
    at: '2024-07-01T00:00:00Z',
  },
])
console.log(all.rows())
console.log(byTag.rows())
