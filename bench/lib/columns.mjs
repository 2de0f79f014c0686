// Turns index ranges into column batches for engines that take typed arrays.
// The counterpart of batches.mjs: the same rows in the same phases, gathered
// into fresh arrays outside the clock, as the C and typed-array limits do.
// A batch is { tables: [{ table, n, columns, weights }], changes }.

const TWO32 = 2 ** 32

// Safe integers into 64-bit columns by halves: no bigint is made per row.
function wide(array, i, value) {
  array[2 * i] = value >>> 0
  array[2 * i + 1] = Math.floor(value / TWO32)
}

function weightsOf(deleted, n) {
  const weights = new BigInt64Array(n)
  weights.fill(-1n, 0, deleted)
  weights.fill(1n, deleted)
  return weights
}

function eventRows(c, rows, deleted) {
  const n = rows.length
  const columns = {
    id: new BigUint64Array(n),
    user: new Uint32Array(n),
    kind: new Uint8Array(n),
    amount: new Float64Array(n),
    ts: new BigInt64Array(n),
  }
  const id = new Uint32Array(columns.id.buffer)
  const ts = new Uint32Array(columns.ts.buffer)
  for (let i = 0; i < n; i++) {
    const r = rows[i]
    wide(id, i, c.id[r])
    columns.user[i] = c.user[r]
    columns.kind[i] = c.kind[r]
    columns.amount[i] = c.amount[r]
    wide(ts, i, c.ts[r])
  }
  return { table: 'events', n, columns, weights: weightsOf(deleted, n) }
}

function orderRows(c, rows, deleted) {
  const n = rows.length
  const columns = { id: new BigUint64Array(n), customer_id: new Uint32Array(n), amount: new Float64Array(n) }
  const id = new Uint32Array(columns.id.buffer)
  for (let i = 0; i < n; i++) {
    const r = rows[i]
    wide(id, i, c.id[r])
    columns.customer_id[i] = c.cust[r]
    columns.amount[i] = c.amount[r]
  }
  return { table: 'orders', n, columns, weights: weightsOf(deleted, n) }
}

// upd: [customer, old region, new region]*, each a retraction and an insertion
function movedCustomers(upd) {
  const moves = upd.length / 3
  const columns = { id: new Uint32Array(moves * 2), region: new Uint32Array(moves * 2) }
  for (let i = 0; i < moves; i++) {
    columns.id[i] = columns.id[moves + i] = upd[i * 3]
    columns.region[i] = upd[i * 3 + 1]
    columns.region[moves + i] = upd[i * 3 + 2]
  }
  return { table: 'customers', n: moves * 2, columns, weights: weightsOf(moves, moves * 2) }
}

function newCustomers(w, from, to) {
  const n = to - from
  const columns = { id: Uint32Array.from({ length: n }, (_, i) => from + i + 1), region: new Uint32Array(n) }
  columns.region.set(w.region0.subarray(from, to))
  return { table: 'customers', n, columns, weights: weightsOf(0, n) }
}

function rowNumbers(del, from, to) {
  const rows = new Int32Array(del.length + to - from)
  rows.set(del)
  for (let r = from, i = del.length; r < to; r++) rows[i++] = r
  return rows
}

const NONE = new Int32Array(0)

function gather(w, from, to, del) {
  const rows = rowNumbers(del, from, to)
  return w.shape === 'events' ? eventRows(w.cols, rows, del.length) : orderRows(w.cols, rows, del.length)
}

export function* loadColumns(w) {
  if (w.shape === 'orders') {
    for (let from = 0; from < w.nc; from += w.loadBatch) {
      const to = Math.min(w.nc, from + w.loadBatch)
      yield { tables: [newCustomers(w, from, to)], changes: to - from }
    }
  }
  for (let from = 0; from < w.n0; from += w.loadBatch) {
    const to = Math.min(w.n0, from + w.loadBatch)
    yield { tables: [gather(w, from, to, NONE)], changes: to - from }
  }
}

export function deltaColumns(w, b) {
  const tables = []
  const rows = b.to - b.from + b.del.length
  if (rows > 0) tables.push(gather(w, b.from, b.to, b.del))
  const moves = b.upd ? b.upd.length / 3 : 0
  if (moves > 0) tables.push(movedCustomers(b.upd))
  return { tables, changes: rows + moves }
}
