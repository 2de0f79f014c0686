/** Every operator of the builder once. Prints what each makes of the same few rows. */
import {
  avg,
  count,
  i32,
  lag,
  max,
  min,
  noisyCount,
  open,
  rank,
  string,
  sum,
  table,
  u32,
  type ViewDef,
  view,
} from 'gnitz'

const left = table('left', { id: u32().primaryKey(), kind: string(), size: i32() })
const right = table('right', { id: u32().primaryKey(), kind: string(), size: i32() })

const timed = table('timed', { at: u32().lateness(1) })

export const views: readonly ViewDef<unknown>[] = [
  view('filter', q => q.from(left).filter(l => l.size > 1)),
  view('map', q => q.from(left).map(l => ({ ...l, twice: l.size * 2 }))),
  view('unionAll', q => q.from(left).unionAll(right)),
  view('minus', q => q.from(left).minus(q.from(left).filter(l => l.size > 1))),
  view('negate', q => q.from(left).negate().negate()),
  view('distinct', q =>
    q
      .from(left)
      .map(l => ({ kind: l.kind }))
      .distinct(),
  ),
  view('union', q => q.from(left).union(right)),
  view('intersect', q => q.from(left).intersect(right)),
  view('intersectAll', q => q.from(left).intersectAll(right)),
  view('except', q => q.from(left).except(right)),
  view('exceptAll', q => q.from(left).exceptAll(right)),
  view('join', q =>
    q.from(left).join(
      right,
      (l, r) => l.kind === r.kind && l.size >= r.size,
      (l, r) => ({ left: l.id, right: r.id }),
    ),
  ),
  view('leftJoin', q =>
    q.from(left).leftJoin(
      right,
      (l, r) => l.id === r.id,
      (l, r) => ({ id: l.id, kind: r.kind }),
    ),
  ),
  view('rightJoin', q =>
    q.from(left).rightJoin(
      right,
      (l, r) => l.id === r.id,
      (l, r) => ({ id: r.id, kind: l.kind }),
    ),
  ),
  view('fullJoin', q =>
    q.from(left).fullJoin(
      right,
      (l, r) => l.id === r.id,
      (l, r) => ({ left: l.id, right: r.id }),
    ),
  ),
  view('semiJoin', q => q.from(left).semiJoin(right, (l, r) => l.kind === r.kind)),
  view('antiJoin', q => q.from(left).antiJoin(right, (l, r) => l.kind === r.kind)),
  view('notIn', q => q.from(left).notIn(right, (l, r) => l.kind === r.kind)),
  view('asOfJoin', q =>
    q.from(left).asOfJoin(
      right,
      (l, r) => l.kind === r.kind && r.size <= l.size,
      (l, r) => ({ left: l.id, right: r.id }),
    ),
  ),
  view('asOfLeftJoin', q =>
    q.from(left).asOfLeftJoin(
      right,
      (l, r) => r.size > l.size,
      (l, r) => ({ left: l.id, right: r.id }),
    ),
  ),
  view('unnest', q =>
    q
      .from(left)
      .map(l => ({ id: l.id, pair: [l.size, l.size * 2] }))
      .unnest(l => l.pair, 'each', { ordinality: 'n' }),
  ),
  view('groupBy', q =>
    q
      .from(left)
      .groupBy(l => ({ kind: l.kind }))
      .aggregate({ rows: count(), total: sum(l => l.size), least: min(l => l.id) }),
  ),
  view('rollup', q =>
    q
      .from(left)
      .groupBy(l => ({ kind: l.kind }))
      .rollup()
      .aggregate({ rows: count() }),
  ),
  view('sample', q => q.from(left).sample(2)),
  view('privateAggregate', q =>
    q.from(left).privateAggregate({ n: noisyCount() }, { epsilon: 1, budget: 1, seed: 'x' }),
  ),
  view('aggregate', q => q.from(left).aggregate({ rows: count(), mean: avg(l => l.size), most: max(l => l.kind) })),
  view('top', q => q.from(left).top(1, { by: l => l.size, desc: true })),
  view('ties', q => q.from(left).top({ limit: 1, offset: 1, ties: true }, { by: l => l.kind })),
  view('window', q =>
    q
      .from(left)
      .window(
        { partitionBy: l => ({ kind: l.kind }), orderBy: [{ by: l => l.size }] },
        { place: rank(), up: lag(l => l.size) },
      ),
  ),
  view('tumble', q => q.from(left).tumble(l => l.size, 2)),
  view('hop', q => q.from(left).hop(l => l.size, 4, 2)),
  view('session', q => q.from(left).session(l => l.size, 1, { by: l => ({ kind: l.kind }) })),
  view('rolling', q => q.from(left).rolling({ at: l => l.size, range: 1 }, { total: sum(l => l.size) })),
  view('emitFinal', q => q.from(timed).emitFinal(t => t.at)),
]

const db = open()
db.createTable(left)
db.createTable(right)
db.createTable(timed)
db.insert(left, [
  { id: 1, kind: 'a', size: 1 },
  { id: 2, kind: 'a', size: 2 },
  { id: 3, kind: 'b', size: 3 },
])
db.insert(right, [
  { id: 1, kind: 'a', size: 1 },
  { id: 4, kind: 'a', size: 9 },
])
db.insert(timed, [{ at: 1 }, { at: 2 }, { at: 3 }])
for (const definition of views) console.log(definition.schema.name, db.createView(definition).rows())
