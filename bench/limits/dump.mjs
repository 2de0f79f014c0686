// Writes one workload as a flat binary file for limits.c.
import { writeFileSync } from 'node:fs'
import { makeWorkload } from '../lib/data.mjs'

export function dump(wname, scale, path) {
  const w = makeWorkload(wname, scale)
  const c = w.cols
  const parts = []
  const i32 = a => parts.push(Buffer.from(Int32Array.from(a).buffer))
  const f64 = a => parts.push(Buffer.from(Float64Array.from(a).buffer))
  const orders = w.shape === 'orders'
  // eight int32 header words keep the following doubles aligned
  i32([Number(wname[1]), w.n0, w.rows, w.batches.length, w.singles.length, w.loadBatch, w.nc ?? 0, 0])
  f64(c.id.subarray(0, w.rows))
  f64(c.amount.subarray(0, w.rows))
  i32((orders ? c.cust : c.user).subarray(0, w.rows))
  i32(orders ? new Int32Array(w.rows) : c.kind.subarray(0, w.rows))
  if (orders) i32(w.region0)
  for (const b of [...w.batches, ...w.singles]) {
    const upd = b.upd ?? []
    i32([b.from, b.to, b.del.length, upd.length / 3])
    i32(b.del)
    i32(upd)
  }
  writeFileSync(path, Buffer.concat(parts))
  return w
}
