// @electric-sql/d2ts: differential dataflow with versions and frontiers.
// One version per batch; the frontier advances after each batch.
import * as d2 from '@electric-sql/d2ts'
import { CountingView, KeyedView } from '../lib/views.mjs'

const {
  D2,
  map,
  filter,
  output,
  join,
  keyBy,
  topK,
  groupBy,
  groupByOperators,
  iterate,
  concat,
  distinct,
  reduce,
  MessageType,
} = d2
const { sum, count, min, max } = groupByOperators

export const pkg = '@electric-sql/d2ts'

export const variants = {
  // the stock operators
  d2ts: { supports: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7'] },
  // W5 with a hand-written reducer, because the stock min/max ignore multiplicities
  'd2ts-reduce': { supports: ['W2', 'W5'] },
  // W7 written as a linear recursion
  'd2ts-linear': { supports: ['W7'] },
}

export function create(w, variant) {
  const graph = new D2({ initialFrontier: 0 })
  const stock = variant === 'd2ts'
  let version = 0

  // sink helpers ------------------------------------------------------------
  const counting = identity => {
    const view = new CountingView()
    const op = output(msg => {
      if (msg.type !== MessageType.DATA) return
      for (const [row, mult] of msg.data.collection.getInner()) view.add(identity(row), row, mult)
    })
    return { view, op }
  }
  const keyed = () => {
    const view = new KeyedView()
    const op = output(msg => {
      if (msg.type !== MessageType.DATA) return
      const inner = msg.data.collection.getInner()
      for (const [[key], mult] of inner) if (mult < 0) view.map.delete(key)
      for (const [[key, row], mult] of inner) if (mult > 0) view.map.set(key, row)
    })
    return { view, op }
  }

  const inputs = []
  const send = () => {
    const v = version++
    for (const { input, data } of inputs) input.sendData(v, data)
    for (const { input } of inputs) input.sendFrontier(version)
    graph.run()
  }
  const newInput = () => {
    const slot = { input: graph.newInput(), data: [] }
    inputs.push(slot)
    return slot
  }
  const weighted = b => {
    const data = []
    for (const r of b.del) data.push([r, -1])
    for (const r of b.ins) data.push([r, 1])
    return data
  }

  let view
  let toArray

  switch (w.name) {
    case 'W1': {
      const s = newInput()
      const sink = counting(r => r.id)
      s.input.pipe(
        filter(r => r.kind === 3 && r.amount > 500),
        map(r => ({ id: r.id, user: r.user, amount2: r.amount * 2 })),
        sink.op,
      )
      view = sink.view
      toArray = r => [r.id, r.user, r.amount2]
      break
    }
    case 'W2': {
      const s = newInput()
      const sink = keyed()
      if (stock) {
        s.input.pipe(
          groupBy(r => ({ user: r.user }), { count: count(), sum: sum(r => r.amount) }),
          sink.op,
        )
        toArray = r => [r.user, r.count, r.sum]
      } else {
        s.input.pipe(
          map(r => [r.user, r.amount]),
          reduce(values => {
            let n = 0
            let s = 0
            for (const [v, m] of values) {
              n += m
              s += v * m
            }
            return n > 0 ? [[[n, s], 1]] : []
          }),
          map(([user, [n, s]]) => [user, { user, count: n, sum: s }]),
          sink.op,
        )
        toArray = r => [r.user, r.count, r.sum]
      }
      view = sink.view
      break
    }
    case 'W3':
    case 'W4': {
      const orders = newInput()
      const customers = newInput()
      const joined = orders.input.pipe(
        keyBy(o => o.customer_id),
        join(customers.input.pipe(keyBy(c => c.id))),
        map(([, [o, c]]) => ({ id: o.id, region: c.region, amount: o.amount })),
      )
      if (w.name === 'W3') {
        const sink = counting(r => r.id * 128 + r.region)
        joined.pipe(sink.op)
        view = sink.view
        toArray = r => [r.id, r.region, r.amount]
      } else {
        const sink = keyed()
        joined.pipe(
          groupBy(r => ({ region: r.region }), { count: count(), sum: sum(r => r.amount) }),
          sink.op,
        )
        view = sink.view
        toArray = r => [r.region, r.count, r.sum]
      }
      break
    }
    case 'W5': {
      const s = newInput()
      const sink = keyed()
      if (stock) {
        s.input.pipe(
          groupBy(r => ({ user: r.user }), { mn: min(r => r.amount), mx: max(r => r.amount) }),
          sink.op,
        )
      } else {
        s.input.pipe(
          map(r => [r.user, r.amount]),
          reduce(values => {
            const n = new Map()
            for (const [v, m] of values) n.set(v, (n.get(v) ?? 0) + m)
            let mn = Infinity
            let mx = -Infinity
            for (const [v, m] of n) {
              if (m <= 0) continue
              if (v < mn) mn = v
              if (v > mx) mx = v
            }
            return mn === Infinity ? [] : [[[mn, mx], 1]]
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
      const s = newInput()
      const sink = counting(r => r[1].id)
      s.input.pipe(
        keyBy(o => o.customer_id),
        topK((a, b) => b.amount - a.amount || a.id - b.id, { limit: w.k }),
        sink.op,
      )
      view = sink.view
      toArray = ([, o]) => [o.customer_id, o.id, o.amount]
      break
    }
    case 'W7': {
      // `iterate` brings only the piped stream into the loop, so a linear
      // closure needs edges and pairs in one stream, told apart by a code
      // (variant d2ts-linear). The stock form joins the closure with itself.
      // Keys must be primitives: the indexes compare them as Map keys.
      const s = newInput()
      const N = w.nodes
      const PAIR = N * N
      const sink = counting(code => code)
      const pairs = s.input.pipe(map(e => [e.src * N + e.dst, 0]))
      const x = code => Math.floor((code % PAIR) / N)
      const y = code => code % N
      const closure = stock
        ? pairs.pipe(
            iterate(loop =>
              loop.pipe(
                map(([code]) => [y(code), x(code)]),
                join(loop.pipe(map(([code]) => [x(code), y(code)]))),
                map(([, [from, to]]) => [from * N + to, 0]),
                concat(loop),
                distinct(),
              ),
            ),
          )
        : pairs.pipe(
            iterate(loop =>
              loop.pipe(
                map(([code]) => [y(code), x(code)]),
                join(
                  loop.pipe(
                    filter(([code]) => code < PAIR),
                    map(([code]) => [x(code), y(code)]),
                  ),
                ),
                map(([, [from, to]]) => [PAIR + from * N + to, 0]),
                concat(loop),
                distinct(),
              ),
            ),
          )
      closure.pipe(
        map(([code]) => [code % PAIR, 0]),
        distinct(),
        map(([code]) => code),
        sink.op,
      )
      view = sink.view
      toArray = code => [x(code), y(code)]
      break
    }
  }
  graph.finalize()

  const apply = b => {
    inputs[0].data = weighted(b)
    if (inputs.length === 2) {
      const data = b.custIns.map(r => [r, 1])
      for (const u of b.custUpd) data.push([u.old, -1], [u.new, 1])
      inputs[1].data = data
    }
    send()
  }
  return { load: apply, apply, rows: () => Array.from(view.rows(), toArray) }
}
