// Turns index ranges into the row objects that every peer receives.
// Deleted rows are fresh objects that are structurally equal to the inserted
// ones, as a change feed would deliver them. IVM_SAME_REF=1 keeps one object
// per row instead, to show how far object identity matters.
const SAME_REF = process.env.IVM_SAME_REF === '1'

export function rowMaker(w) {
  const make = rawMaker(w)
  if (!SAME_REF) return make
  const cache = new Array(w.rows)
  return r => (cache[r] ??= make(r))
}

function rawMaker(w) {
  const c = w.cols
  switch (w.shape) {
    case 'events':
      return r => ({ id: c.id[r], user: c.user[r], kind: c.kind[r], amount: c.amount[r], ts: c.ts[r] })
    case 'orders':
    case 'orders1':
      return r => ({ id: c.id[r], customer_id: c.cust[r], amount: c.amount[r] })
    case 'edges':
      return r => ({ src: c.src[r], dst: c.dst[r] })
  }
  throw new Error('unknown shape ' + w.shape)
}

const EMPTY = []

export function* loadBatches(w, row) {
  if (w.shape === 'orders') {
    for (let from = 0; from < w.nc; from += w.loadBatch) {
      const custIns = []
      const to = Math.min(w.nc, from + w.loadBatch)
      for (let c = from; c < to; c++) custIns.push({ id: c + 1, region: w.region0[c] })
      yield { ins: EMPTY, del: EMPTY, custIns, custUpd: EMPTY, changes: to - from }
    }
  }
  for (let from = 0; from < w.n0; from += w.loadBatch) {
    const to = Math.min(w.n0, from + w.loadBatch)
    const ins = new Array(to - from)
    for (let r = from; r < to; r++) ins[r - from] = row(r)
    yield { ins, del: EMPTY, custIns: EMPTY, custUpd: EMPTY, changes: to - from }
  }
}

export function deltaBatch(row, b) {
  const ins = new Array(b.to - b.from)
  for (let r = b.from; r < b.to; r++) ins[r - b.from] = row(r)
  const del = Array.from(b.del, row)
  const custUpd = []
  if (b.upd) {
    for (let i = 0; i < b.upd.length; i += 3) {
      custUpd.push({
        old: { id: b.upd[i], region: b.upd[i + 1] },
        new: { id: b.upd[i], region: b.upd[i + 2] },
      })
    }
  }
  return { ins, del, custIns: EMPTY, custUpd, changes: ins.length + del.length + custUpd.length }
}
