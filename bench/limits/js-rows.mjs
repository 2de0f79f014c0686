// Ceiling for an engine whose API is row objects: hand-written maintenance with
// Map and plain objects, driven exactly like the peers (row objects in, a view
// of row objects out). Touched aggregate rows are replaced once per batch, as a
// delta-emitting operator would.
export const pkg = null

export const variants = {
  'limit-js-rows': { supports: ['W1', 'W2', 'W3', 'W4'] },
}

// COUNT/SUM per key; flush() replaces the view rows of the touched groups.
function aggregate(make) {
  const state = new Map()
  const view = new Map()
  let touched = []
  let epoch = 1
  return {
    view,
    add(key, n, s) {
      let e = state.get(key)
      if (e === undefined) {
        e = { key, n: 0, s: 0, epoch: 0 }
        state.set(key, e)
      }
      e.n += n
      e.s += s
      if (e.epoch !== epoch) {
        e.epoch = epoch
        touched.push(e)
      }
    },
    flush() {
      for (const e of touched) {
        if (e.n > 0) view.set(e.key, make(e.key, e.n, e.s))
        else {
          view.delete(e.key)
          state.delete(e.key)
        }
      }
      touched = []
      epoch++
    },
  }
}

export function create(w) {
  switch (w.name) {
    case 'W1': {
      const view = new Map()
      return {
        apply(b) {
          for (const r of b.del) if (r.kind === 3 && r.amount > 500) view.delete(r.id)
          for (const r of b.ins) {
            if (r.kind === 3 && r.amount > 500) view.set(r.id, { id: r.id, user: r.user, amount2: r.amount * 2 })
          }
        },
        rows: () => Array.from(view.values(), r => [r.id, r.user, r.amount2]),
      }
    }
    case 'W2': {
      const agg = aggregate((user, count, sum) => ({ user, count, sum }))
      return {
        apply(b) {
          for (const r of b.del) agg.add(r.user, -1, -r.amount)
          for (const r of b.ins) agg.add(r.user, 1, r.amount)
          agg.flush()
        },
        rows: () => Array.from(agg.view.values(), r => [r.user, r.count, r.sum]),
      }
    }
    default: {
      const joinOnly = w.name === 'W3'
      const customers = new Map()
      const view = new Map()
      const agg = aggregate((region, count, sum) => ({ region, count, sum }))
      const customer = id => {
        let c = customers.get(id)
        if (c === undefined) {
          c = { region: -1, orders: new Map() }
          customers.set(id, c)
        }
        return c
      }
      const move = (id, region) => {
        const c = customer(id)
        const from = c.region
        c.region = region
        if (joinOnly) {
          for (const o of c.orders.values()) view.set(o.id, { id: o.id, region, amount: o.amount })
        } else if (c.orders.size) {
          let s = 0
          for (const o of c.orders.values()) s += o.amount
          if (from >= 0) agg.add(from, -c.orders.size, -s)
          agg.add(region, c.orders.size, s)
        }
      }
      return {
        apply(b) {
          for (const o of b.del) {
            const c = customer(o.customer_id)
            c.orders.delete(o.id)
            if (c.region < 0) continue
            if (joinOnly) view.delete(o.id)
            else agg.add(c.region, -1, -o.amount)
          }
          for (const r of b.custIns) move(r.id, r.region)
          for (const o of b.ins) {
            const c = customer(o.customer_id)
            c.orders.set(o.id, o)
            if (c.region < 0) continue
            if (joinOnly) view.set(o.id, { id: o.id, region: c.region, amount: o.amount })
            else agg.add(c.region, 1, o.amount)
          }
          for (const u of b.custUpd) move(u.new.id, u.new.region)
          if (!joinOnly) agg.flush()
        },
        rows: () =>
          joinOnly
            ? Array.from(view.values(), r => [r.id, r.region, r.amount])
            : Array.from(agg.view.values(), r => [r.region, r.count, r.sum]),
      }
    }
  }
}
