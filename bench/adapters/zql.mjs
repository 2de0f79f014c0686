// @rocicorp/zero's ZQL engine alone: MemorySource + query builder + ArrayView,
// no server, no Replicache client. The parts are not public exports of the
// package, so they are imported by file path.
const base = new URL('../zero/node_modules/@rocicorp/zero/out/', import.meta.url)
const load = p => import(new URL(p, base))

export const pkg = '@rocicorp/zero'

const NO_AGG = 'ZQL has no aggregates'

export const variants = {
  zql: {
    supports: ['W1', 'W3', 'W6'],
    why: { W2: NO_AGG, W4: NO_AGG, W5: NO_AGG, W7: 'no recursion' },
  },
}

export async function create(w) {
  const [
    { createSchema, table, number, relationships },
    { MemorySource },
    { QueryDelegateBase },
    { newQuery },
    source,
  ] = await Promise.all([
    load('zero/src/zero.js'),
    load('zql/src/ivm/memory-source.js'),
    load('zql/src/query/query-delegate-base.js'),
    load('zql/src/query/query-impl.js'),
    load('zql/src/ivm/source.js'),
  ])
  const { makeSourceChangeAdd: add, makeSourceChangeRemove: remove, makeSourceChangeEdit: edit } = source

  const events = table('events')
    .columns({ id: number(), user: number(), kind: number(), amount: number(), ts: number() })
    .primaryKey('id')
  const orders = table('orders').columns({ id: number(), customer_id: number(), amount: number() }).primaryKey('id')
  const customers = table('customers').columns({ id: number(), region: number() }).primaryKey('id')
  const schema = createSchema({
    tables: [events, orders, customers],
    relationships: [
      relationships(orders, ({ one }) => ({
        customer: one({ sourceField: ['customer_id'], destField: ['id'], destSchema: customers }),
      })),
      relationships(customers, ({ many }) => ({
        orders: many({ sourceField: ['id'], destField: ['customer_id'], destSchema: orders }),
      })),
    ],
  })

  const sources = {}
  for (const [name, t] of Object.entries(schema.tables)) sources[name] = new MemorySource(name, t.columns, t.primaryKey)
  const listeners = new Set()
  class Delegate extends QueryDelegateBase {
    defaultQueryComplete = true
    getSource(name) {
      return sources[name]
    }
    onTransactionCommit(cb) {
      listeners.add(cb)
      return () => listeners.delete(cb)
    }
  }
  const delegate = new Delegate()
  const push = (name, change) => {
    for (const _ of sources[name].push(change));
  }
  const commit = () => {
    for (const cb of listeners) cb()
  }

  let query
  let toRows
  const notes = []
  switch (w.name) {
    case 'W1':
      query = newQuery(schema, 'events').where('kind', 3).where('amount', '>', 500)
      toRows = data => data.map(r => [r.id, r.user, r.amount * 2])
      notes.push('filter only: ZQL has no projection, amount*2 is computed on read')
      break
    case 'W3':
      query = newQuery(schema, 'orders').related('customer')
      toRows = data => data.map(o => [o.id, o.customer.region, o.amount])
      notes.push('nested result: each order holds its customer')
      break
    case 'W6':
      query = newQuery(schema, 'customers').related('orders', q =>
        q.orderBy('amount', 'desc').orderBy('id', 'asc').limit(w.k),
      )
      toRows = data => data.flatMap(c => c.orders.map(o => [c.id, o.id, o.amount]))
      notes.push('nested result: each customer holds its top orders; a customers table is added')
      break
  }
  if (w.name === 'W6') for (let c = 1; c <= w.nc; c++) push('customers', add({ id: c, region: 0 }))
  const view = delegate.materialize(query)
  let seen
  view.addListener(data => {
    seen = data
  })

  const main = w.shape === 'events' ? 'events' : 'orders'
  return {
    notes,
    apply: b => {
      for (const r of b.del) push(main, remove(r))
      for (const c of b.custIns) push('customers', add(c))
      for (const r of b.ins) push(main, add(r))
      for (const u of b.custUpd) push('customers', edit(u.new, u.old))
      commit()
    },
    rows: () => toRows(seen),
  }
}
