/** Aggregates of every family over one table of orders. */
import {
  approxCountDistinct,
  argMax,
  arrayAgg,
  count,
  countDistinct,
  distinct,
  f64,
  filtered,
  grouping,
  linear,
  median,
  mode,
  open,
  percentileDisc,
  regrSlope,
  stddevSamp,
  string,
  stringAgg,
  sum,
  table,
  u32,
  view,
} from 'gnitz'

const orders = table('orders', {
  id: u32().primaryKey(),
  region: string(),
  customer: string(),
  pieces: u32(),
  price: f64(),
})

const perRegion = view('perRegion', q =>
  q
    .from(orders)
    .groupBy(o => ({ region: o.region }))
    .aggregate({
      orders: count(),
      large: filtered(count(), o => o.pieces > 2),
      customers: countDistinct(o => o.customer),
      about: approxCountDistinct(o => o.customer),
      prices: distinct(sum(o => o.price)),
      deviation: stddevSamp(o => o.price),
      slope: regrSlope(
        o => o.price,
        o => o.pieces,
      ),
      middle: median(o => o.price),
      mostBelow: percentileDisc(0.9, o => o.price),
      usual: mode(o => o.pieces),
      dearest: argMax(
        o => o.id,
        o => o.price,
      ),
      names: stringAgg(o => o.customer, ', ', { by: o => o.id }),
      ids: arrayAgg(o => o.id, { by: o => o.price, desc: true }),
      quadratic: linear('quadratic', [o => o.price * o.price], 'f64', (squares: number, n: bigint) =>
        Math.sqrt(squares / Number(n)),
      ),
    }),
)

const totals = view('totals', q =>
  q
    .from(orders)
    .groupBy(o => ({ region: o.region, customer: o.customer }))
    .rollup()
    .aggregate({ pieces: sum(o => o.pieces), level: grouping('region', 'customer') }),
)

const db = open()
const [regions, all] = [db.createView(perRegion), db.createView(totals)]
db.insert(orders, [
  { id: 1, region: 'north', customer: 'ann', pieces: 1, price: 0.1 },
  { id: 2, region: 'north', customer: 'ben', pieces: 3, price: 0.2 },
  { id: 3, region: 'north', customer: 'ann', pieces: 3, price: 0.7 },
  { id: 4, region: 'south', customer: 'cid', pieces: 2, price: 5 },
])
console.log(regions.get('north'))
console.log(all.rows())
