// @tanstack/db-ivm: the version-free dataflow under TanStack DB.
// Streams are keyed [rowKey, row], as TanStack DB feeds them, so the indexes
// can tell rows apart by key instead of by structural hash.
import {
  D2,
  filter,
  groupBy,
  groupByOperators,
  groupedOrderByWithFractionalIndex,
  join,
  map,
  output,
  reduce,
} from '@tanstack/db-ivm'
import { CountingView, KeyedView } from '../lib/views.mjs'

const { sum, count, min, max } = groupByOperators

export const pkg = '@tanstack/db-ivm'

export const variants = {
  'db-ivm': { supports: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'], why: { W7: 'no iterate operator' } },
  // aggregates written with map + reduce instead of groupBy: no JSON group keys
  'db-ivm-reduce': { supports: ['W2', 'W5'] },
}

export function create(w, variant) {
  const stock = variant === 'db-ivm'
  const graph = new D2()

  const counting = identity => {
    const view = new CountingView()
    const op = output(set => {
      for (const [row, mult] of set.getInner()) view.add(identity(row), row, mult)
    })
    return { view, op }
  }
  const keyed = () => {
    const view = new KeyedView()
    const op = output(set => {
      const inner = set.getInner()
      for (const [[key], mult] of inner) if (mult < 0) view.map.delete(key)
      for (const [[key, row], mult] of inner) if (mult > 0) view.map.set(key, row)
    })
    return { view, op }
  }
  const weighted = b => {
    const data = []
    for (const r of b.del) data.push([[r.id, r], -1])
    for (const r of b.ins) data.push([[r.id, r], 1])
    return data
  }

  const main = graph.newInput()
  let second
  let view
  let toArray

  switch (w.name) {
    case 'W1': {
      const sink = counting(([id]) => id)
      main.pipe(
        filter(([, r]) => r.kind === 3 && r.amount > 500),
        map(([id, r]) => [id, { id, user: r.user, amount2: r.amount * 2 }]),
        sink.op,
      )
      view = sink.view
      toArray = ([, r]) => [r.id, r.user, r.amount2]
      break
    }
    case 'W2': {
      const sink = keyed()
      if (stock) {
        main.pipe(
          groupBy(([, r]) => ({ user: r.user }), { count: count(), sum: sum(([, r]) => r.amount) }),
          sink.op,
        )
      } else {
        main.pipe(
          map(([id, r]) => [r.user, [id, r.amount]]),
          reduce(values => {
            let n = 0
            let s = 0
            for (const [[, a], m] of values) {
              n += m
              s += a * m
            }
            return n > 0 ? [[[n, s], 1]] : []
          }),
          map(([user, [n, s]]) => [user, { user, count: n, sum: s }]),
          sink.op,
        )
      }
      view = sink.view
      toArray = r => [r.user, r.count, r.sum]
      break
    }
    case 'W3':
    case 'W4': {
      second = graph.newInput()
      const joined = main.pipe(
        map(([id, o]) => [o.customer_id, [id, o]]),
        join(second.pipe(map(([id, c]) => [id, [id, c]]))),
        map(([, [[id, o], [, c]]]) => [id, { id, region: c.region, amount: o.amount }]),
      )
      if (w.name === 'W3') {
        const sink = counting(([id, r]) => id * 128 + r.region)
        joined.pipe(sink.op)
        view = sink.view
        toArray = ([, r]) => [r.id, r.region, r.amount]
      } else {
        const sink = keyed()
        joined.pipe(
          groupBy(([, r]) => ({ region: r.region }), { count: count(), sum: sum(([, r]) => r.amount) }),
          sink.op,
        )
        view = sink.view
        toArray = r => [r.region, r.count, r.sum]
      }
      break
    }
    case 'W5': {
      const sink = keyed()
      if (stock) {
        main.pipe(
          groupBy(([, r]) => ({ user: r.user }), { mn: min(([, r]) => r.amount), mx: max(([, r]) => r.amount) }),
          sink.op,
        )
      } else {
        main.pipe(
          map(([id, r]) => [r.user, [id, r.amount]]),
          reduce(values => {
            let mn = Infinity
            let mx = -Infinity
            for (const [[, a]] of values) {
              if (a < mn) mn = a
              if (a > mx) mx = a
            }
            return values.length ? [[[mn, mx], 1]] : []
          }),
          map(([user, [mn, mx]]) => [user, { user, mn, mx }]),
          sink.op,
        )
      }
      view = sink.view
      toArray = r => [r.user, r.mn, r.mx]
      break
    }
    case 'W6': {
      const sink = counting(([id]) => id)
      main.pipe(
        groupedOrderByWithFractionalIndex(o => o, {
          limit: w.k,
          groupKeyFn: (_id, o) => o.customer_id,
          comparator: (a, b) => b.amount - a.amount || a.id - b.id,
        }),
        sink.op,
      )
      view = sink.view
      toArray = ([, [o]]) => [o.customer_id, o.id, o.amount]
      break
    }
  }
  graph.finalize()

  const apply = b => {
    main.sendData(weighted(b))
    if (second) {
      const data = b.custIns.map(c => [[c.id, c], 1])
      for (const u of b.custUpd) data.push([[u.old.id, u.old], -1], [[u.new.id, u.new], 1])
      second.sendData(data)
    }
    graph.run()
  }
  return { apply, rows: () => Array.from(view.rows(), toArray) }
}
