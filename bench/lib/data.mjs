// Deterministic workloads. All data lives in typed arrays; row objects are
// made per batch, outside the clock, by `batches.mjs`.
//
// A single-table workload has columns (typed arrays over every row that will
// ever exist), an initial range [0, n0), and a list of delta batches. A batch
// is { from, to, del }: rows [from, to) are inserted, rows in `del` (indices of
// rows alive before the batch) are deleted. Order inside a batch is irrelevant
// by construction.
import { Lcg } from './rng.mjs'

export const WORKLOADS = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7']

export const TITLES = {
  W1: 'filter+map',
  W2: 'group-by COUNT/SUM',
  W3: 'join',
  W4: 'join + aggregate',
  W5: 'MIN/MAX with retraction',
  W6: 'top-3 per group',
  W7: 'transitive closure',
}

const LOAD_BATCH = 10_000

const sc = (n, scale) => Math.max(1, Math.round(n * scale))

export function makeWorkload(name, scale = 1) {
  switch (name) {
    case 'W1':
      return events('W1', scale, {
        n0: 1_000_000,
        users: 10_000,
        batches: 0,
        batchSize: 0,
        amountMax: 1000,
        seed: 11,
      })
    case 'W2':
      return events('W2', scale, {
        n0: 500_000,
        users: 10_000,
        batches: 200,
        batchSize: 1000,
        amountMax: 100_000,
        seed: 22,
      })
    case 'W3':
    case 'W4':
      return ordersCustomers(name, scale)
    case 'W5':
      return events('W5', scale, {
        n0: 300_000,
        users: 3_000,
        batches: 200,
        batchSize: 1000,
        amountMax: 1_000_000,
        seed: 55,
        extremeShare: 0.3,
      })
    case 'W6':
      return topk(scale)
    case 'W7':
      return closure(scale)
    default:
      throw new Error('unknown workload ' + name)
  }
}

// Alive-row bookkeeping with O(1) random pick and delete.
export class Alive {
  constructor(cap) {
    this.rows = new Int32Array(cap)
    this.pos = new Int32Array(cap).fill(-1)
    this.n = 0
  }
  add(r) {
    this.pos[r] = this.n
    this.rows[this.n++] = r
  }
  remove(r) {
    const p = this.pos[r]
    const last = this.rows[--this.n]
    this.rows[p] = last
    this.pos[last] = p
    this.pos[r] = -1
  }
  has(r) {
    return this.pos[r] >= 0
  }
  pick(rng) {
    return this.rows[rng.below(this.n)]
  }
}

function events(name, scale, o) {
  const rng = new Lcg(o.seed)
  const n0 = sc(o.n0, scale)
  const users = sc(o.users, scale)
  const nb = scale < 1 && o.batches ? Math.max(4, Math.round(o.batches * scale * 4)) : o.batches
  const bs = scale < 1 && o.batchSize ? Math.max(20, Math.round(o.batchSize * scale * 4)) : o.batchSize
  const ns = scale < 1 ? 20 : 200
  const half = bs >> 1
  const cap = n0 + nb * half + Math.ceil(ns / 2)
  const id = new Float64Array(cap)
  const user = new Int32Array(cap)
  const kind = new Int32Array(cap)
  const amount = new Float64Array(cap)
  const ts = new Float64Array(cap)
  const mk = r => {
    id[r] = r + 1
    user[r] = rng.below(users)
    kind[r] = rng.below(10)
    amount[r] = 1 + rng.below(o.amountMax)
    ts[r] = 1_700_000_000_000 + r * 10 + rng.below(10)
  }
  const alive = new Alive(cap)
  const byUser = o.extremeShare ? Array.from({ length: users }, () => []) : null
  const add = r => {
    alive.add(r)
    if (byUser) byUser[user[r]].push(r)
  }
  const kill = r => {
    alive.remove(r)
    if (byUser) {
      const a = byUser[user[r]]
      const i = a.indexOf(r)
      a[i] = a[a.length - 1]
      a.pop()
    }
  }
  let top = 0
  for (; top < n0; top++) {
    mk(top)
    add(top)
  }
  const pickVictim = () => {
    if (byUser && rng.below(1000) < o.extremeShare * 1000) {
      // delete the current minimum or maximum of a random user with > 2 rows
      for (;;) {
        const a = byUser[rng.below(users)]
        if (a.length <= 2) continue
        const wantMax = rng.below(2) === 1
        let best = a[0]
        for (let i = 1; i < a.length; i++) {
          if (wantMax ? amount[a[i]] > amount[best] : amount[a[i]] < amount[best]) best = a[i]
        }
        return best
      }
    }
    return alive.pick(rng)
  }
  const batches = []
  for (let b = 0; b < nb; b++) {
    const del = new Int32Array(half)
    for (let i = 0; i < half; i++) {
      const r = pickVictim()
      kill(r)
      del[i] = r
    }
    const from = top
    for (let i = 0; i < half; i++, top++) {
      mk(top)
      add(top)
    }
    batches.push({ from, to: top, del })
  }
  const singles = []
  for (let s = 0; s < ns; s++) {
    if (s % 2 === 0) {
      const from = top
      mk(top)
      add(top)
      top++
      singles.push({ from, to: top, del: new Int32Array(0) })
    } else {
      const r = pickVictim()
      kill(r)
      singles.push({ from: 0, to: 0, del: Int32Array.of(r) })
    }
  }
  return {
    name,
    shape: 'events',
    n0,
    loadBatch: Math.min(LOAD_BATCH, Math.max(1, n0 >> 2)),
    batchChanges: bs,
    users,
    cols: { id, user, kind, amount, ts },
    rows: top,
    batches,
    singles,
    alive: alive.rows.slice(0, alive.n),
  }
}

function ordersCustomers(name, scale) {
  const rng = new Lcg(33)
  const regions = 100
  const nc = sc(50_000, scale)
  const n0 = sc(500_000, scale)
  const nb = scale < 1 ? 8 : 200
  const nUpd = scale < 1 ? 10 : 100
  const half = scale < 1 ? 45 : 450
  const ns = scale < 1 ? 20 : 200
  const cap = n0 + nb * half + ns
  const id = new Float64Array(cap)
  const cust = new Int32Array(cap)
  const amount = new Float64Array(cap)
  const region0 = new Int32Array(nc)
  for (let c = 0; c < nc; c++) region0[c] = rng.below(regions)
  const region = region0.slice()
  const mk = r => {
    id[r] = r + 1
    cust[r] = 1 + rng.below(nc)
    amount[r] = 1 + rng.below(100_000)
  }
  const alive = new Alive(cap)
  let top = 0
  for (; top < n0; top++) {
    mk(top)
    alive.add(top)
  }
  const upd = k => {
    // k distinct customers, each moved to another region: [customer, old, new]*
    const seen = new Set()
    const out = new Int32Array(k * 3)
    for (let i = 0; i < k; i++) {
      let c
      do c = rng.below(nc)
      while (seen.has(c))
      seen.add(c)
      const next = (region[c] + 1 + rng.below(regions - 1)) % regions
      out[i * 3] = c + 1
      out[i * 3 + 1] = region[c]
      out[i * 3 + 2] = next
      region[c] = next
    }
    return out
  }
  const none = new Int32Array(0)
  const batches = []
  for (let b = 0; b < nb; b++) {
    const del = new Int32Array(half)
    for (let i = 0; i < half; i++) {
      const r = alive.pick(rng)
      alive.remove(r)
      del[i] = r
    }
    const from = top
    for (let i = 0; i < half; i++, top++) {
      mk(top)
      alive.add(top)
    }
    batches.push({ from, to: top, del, upd: upd(nUpd) })
  }
  const singles = []
  for (let s = 0; s < ns; s++) {
    if (s % 10 === 9) {
      singles.push({ from: 0, to: 0, del: none, upd: upd(1) })
    } else if (s % 2 === 0) {
      const from = top
      mk(top)
      alive.add(top)
      top++
      singles.push({ from, to: top, del: none, upd: none })
    } else {
      const r = alive.pick(rng)
      alive.remove(r)
      singles.push({ from: 0, to: 0, del: Int32Array.of(r), upd: none })
    }
  }
  return {
    name,
    shape: 'orders',
    n0,
    nc,
    regions,
    loadBatch: Math.min(LOAD_BATCH, Math.max(1, n0 >> 2)),
    batchChanges: half * 2 + nUpd,
    cols: { id, cust, amount },
    region0,
    regionFinal: region,
    rows: top,
    batches,
    singles,
    alive: alive.rows.slice(0, alive.n),
  }
}

function topk(scale) {
  const rng = new Lcg(66)
  const nc = sc(5_000, scale)
  const n0 = sc(200_000, scale)
  const nb = scale < 1 ? 8 : 100
  const half = scale < 1 ? 50 : 500
  const ns = scale < 1 ? 20 : 200
  const cap = n0 + nb * half + ns
  const id = new Float64Array(cap)
  const cust = new Int32Array(cap)
  const amount = new Float64Array(cap)
  const byCust = Array.from({ length: nc }, () => [])
  const alive = new Alive(cap)
  const mk = r => {
    id[r] = r + 1
    cust[r] = 1 + rng.below(nc)
    amount[r] = 1 + rng.below(1_000_000)
    alive.add(r)
    byCust[cust[r] - 1].push(r)
  }
  const kill = r => {
    alive.remove(r)
    const a = byCust[cust[r] - 1]
    const i = a.indexOf(r)
    a[i] = a[a.length - 1]
    a.pop()
  }
  const victim = () => {
    if (rng.below(5) === 0) {
      // 20% of the deletes hit the current best order of a random customer
      for (;;) {
        const a = byCust[rng.below(nc)]
        if (a.length === 0) continue
        let best = a[0]
        for (let i = 1; i < a.length; i++) if (amount[a[i]] > amount[best]) best = a[i]
        return best
      }
    }
    return alive.pick(rng)
  }
  let top = 0
  while (top < n0) mk(top++)
  const batches = []
  for (let b = 0; b < nb; b++) {
    const del = new Int32Array(half)
    for (let i = 0; i < half; i++) {
      const r = victim()
      kill(r)
      del[i] = r
    }
    const from = top
    for (let i = 0; i < half; i++) mk(top++)
    batches.push({ from, to: top, del })
  }
  const singles = []
  for (let s = 0; s < ns; s++) {
    if (s % 2 === 0) {
      const from = top
      mk(top++)
      singles.push({ from, to: top, del: new Int32Array(0) })
    } else {
      const r = victim()
      kill(r)
      singles.push({ from: 0, to: 0, del: Int32Array.of(r) })
    }
  }
  return {
    name: 'W6',
    shape: 'orders1',
    n0,
    nc,
    k: 3,
    loadBatch: Math.min(LOAD_BATCH, Math.max(1, n0 >> 2)),
    batchChanges: half * 2,
    cols: { id, cust, amount },
    rows: top,
    batches,
    singles,
    alive: alive.rows.slice(0, alive.n),
  }
}

function closure(scale) {
  // Disjoint DAG components. Each is a chain of `len` nodes plus random forward
  // edges, so the closure of one component is len*(len-1)/2 pairs at most.
  const rng = new Lcg(77)
  const comps = 10
  const len = scale < 1 ? 20 : 200
  const extra = scale < 1 ? 10 : 101
  const nodes = comps * len
  const has = new Set()
  const src = []
  const dst = []
  const alive = []
  const add = (a, b) => {
    has.add(a * nodes + b)
    alive.push(src.length)
    src.push(a)
    dst.push(b)
    return src.length - 1
  }
  const forward = base => {
    for (;;) {
      const i = rng.below(len - 1)
      const j = i + 1 + rng.below(len - 1 - i)
      if (!has.has((base + i) * nodes + base + j)) return add(base + i, base + j)
    }
  }
  for (let c = 0; c < comps; c++) {
    const base = c * len
    for (let i = 0; i + 1 < len; i++) add(base + i, base + i + 1)
    for (let e = 0; e < extra; e++) forward(base)
  }
  const n0 = src.length
  const singles = []
  const ns = scale < 1 ? 10 : 50
  for (let s = 0; s < ns; s++) {
    if (s % 2 === 0) {
      const i = rng.below(alive.length)
      const r = alive[i]
      alive[i] = alive[alive.length - 1]
      alive.pop()
      has.delete(src[r] * nodes + dst[r])
      singles.push({ from: 0, to: 0, del: Int32Array.of(r) })
    } else {
      const r = forward(rng.below(comps) * len)
      singles.push({ from: r, to: r + 1, del: new Int32Array(0) })
    }
  }
  return {
    name: 'W7',
    shape: 'edges',
    n0,
    nodes,
    loadBatch: n0,
    batchChanges: 1,
    cols: { src: Int32Array.from(src), dst: Int32Array.from(dst) },
    rows: src.length,
    batches: [],
    singles,
    alive: Int32Array.from(alive),
  }
}
