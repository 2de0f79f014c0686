// Ceiling for JavaScript: hand-written loops over typed-array columns.
// Input batches are columns with a weight per row; the output is a column
// buffer of weighted changes, as an incremental operator would emit.
// W1: stateless filter+map. W2: open-addressing hash on Int32 keys with counts
// and sums in typed arrays; old and new aggregate rows of touched groups are
// emitted. Same phases, batches and checks as the peers.
import { makeWorkload } from '../lib/data.mjs'
import { hashRows, referenceRows, WIDTH } from '../lib/reference.mjs'

const [, , wname, scaleArg] = process.argv
const w = makeWorkload(wname, Number(scaleArg ?? 1))
const C = w.cols

function columns(ins, del) {
  const n = ins.length + del.length
  const b = {
    n,
    id: new Float64Array(n),
    user: new Int32Array(n),
    kind: new Int32Array(n),
    amount: new Float64Array(n),
    weight: new Int32Array(n),
  }
  let i = 0
  const put = (r, m) => {
    b.id[i] = C.id[r]
    b.user[i] = C.user[r]
    b.kind[i] = C.kind[r]
    b.amount[i] = C.amount[r]
    b.weight[i++] = m
  }
  for (const r of del) put(r, -1)
  for (const r of ins) put(r, 1)
  return b
}
const span = (from, to) => Int32Array.from({ length: to - from }, (_, i) => from + i)

// ---- operators ------------------------------------------------------------
const OUT = 1 << 21
const outA = new Float64Array(OUT)
const outB = new Int32Array(OUT)
const outC = new Float64Array(OUT)
const outW = new Int32Array(OUT)
let outN = 0

function filterMap(n, id, user, kind, amount, weight) {
  let k = outN
  for (let i = 0; i < n; i++) {
    if (kind[i] === 3 && amount[i] > 500) {
      outA[k] = id[i]
      outB[k] = user[i]
      outC[k] = amount[i] * 2
      outW[k] = weight[i]
      k++
    }
  }
  outN = k
}

const CAP = 1 << 15
const MASK = CAP - 1
const keys = new Int32Array(CAP).fill(-1)
const counts = new Int32Array(CAP)
const sums = new Float64Array(CAP)
const stamp = new Int32Array(CAP)
const oldCount = new Int32Array(CAP)
const oldSum = new Float64Array(CAP)
const touched = new Int32Array(CAP)
let epoch = 0

function groupBy(n, user, amount, weight) {
  const e = ++epoch
  let nt = 0
  for (let i = 0; i < n; i++) {
    const u = user[i]
    let s = (Math.imul(u, 0x9e3779b1) >>> 17) & MASK
    while (keys[s] !== u) {
      if (keys[s] === -1) {
        keys[s] = u
        break
      }
      s = (s + 1) & MASK
    }
    if (stamp[s] !== e) {
      stamp[s] = e
      oldCount[s] = counts[s]
      oldSum[s] = sums[s]
      touched[nt++] = s
    }
    const m = weight[i]
    counts[s] += m
    sums[s] += m * amount[i]
  }
  // emit: retract the old row, assert the new one
  let k = 0
  for (let t = 0; t < nt; t++) {
    const s = touched[t]
    if (oldCount[s] > 0) {
      outA[k] = oldSum[s]
      outB[k] = keys[s]
      outC[k] = oldCount[s]
      outW[k++] = -1
    }
    if (counts[s] > 0) {
      outA[k] = sums[s]
      outB[k] = keys[s]
      outC[k] = counts[s]
      outW[k++] = 1
    }
  }
  outN = k
}

const apply =
  wname === 'W1'
    ? b => filterMap(b.n, b.id, b.user, b.kind, b.amount, b.weight)
    : b => groupBy(b.n, b.user, b.amount, b.weight)

// ---- phases ---------------------------------------------------------------
const quantile = (a, q) => Float64Array.from(a).sort()[Math.min(a.length - 1, Math.ceil(q * a.length) - 1)]
const sum = a => a.reduce((x, y) => x + y, 0)
const none = new Int32Array(0)
const time = b => {
  const t = process.hrtime.bigint()
  apply(b)
  return Number(process.hrtime.bigint() - t) / 1e6
}
const out = {
  peer: 'limit-js',
  workload: wname,
  scale: Number(scaleArg ?? 1),
  status: 'ok',
  loadMode: 'maintained per batch',
}
// warm up the compiler, then start again from empty state
for (let k = 0; k < 3; k++) {
  for (let from = 0; from < w.n0; from += w.loadBatch)
    apply(columns(span(from, Math.min(w.n0, from + w.loadBatch)), none))
  for (const s of w.singles) apply(columns(span(s.from, s.to), s.del))
  outN = 0
  keys.fill(-1)
  counts.fill(0)
  sums.fill(0)
  stamp.fill(0)
  epoch = 0
}
const lat = []
for (let from = 0; from < w.n0; from += w.loadBatch)
  lat.push(time(columns(span(from, Math.min(w.n0, from + w.loadBatch)), none)))
out.loadRows = w.n0
out.loadMs = sum(lat)
out.loadRowsPerS = Math.round(w.n0 / (out.loadMs / 1000))
if (!w.batches.length) {
  out.batchP50 = quantile(lat, 0.5)
  out.batchP99 = quantile(lat, 0.99)
  out.batchSize = w.loadBatch
} else {
  const d = w.batches.map(s => time(columns(span(s.from, s.to), s.del)))
  out.deltaChanges = w.batches.length * w.batchChanges
  out.deltaMs = sum(d)
  out.deltaPerS = Math.round(out.deltaChanges / (out.deltaMs / 1000))
  out.batchP50 = quantile(d, 0.5)
  out.batchP99 = quantile(d, 0.99)
  out.batchSize = w.batchChanges
}
const s1 = w.singles.map(s => time(columns(span(s.from, s.to), s.del)))
out.singleP50 = quantile(s1, 0.5)
out.singleP99 = quantile(s1, 0.99)
out.peakRssMB = Math.round(process.resourceUsage().maxRSS / 1024)

let rows = []
if (wname === 'W1') {
  const m = new Map()
  for (let i = 0; i < outN; i++) {
    if (outW[i] > 0) m.set(outA[i], [outA[i], outB[i], outC[i]])
    else m.delete(outA[i])
  }
  rows = [...m.values()]
} else {
  for (let s = 0; s < CAP; s++) if (keys[s] !== -1 && counts[s] > 0) rows.push([keys[s], counts[s], sums[s]])
}
out.hash = hashRows(rows, WIDTH[wname])
out.wantHash = hashRows(referenceRows(w), WIDTH[wname])
if (out.hash !== out.wantHash) out.status = 'wrong'
process.stdout.write(JSON.stringify({ result: out }) + '\n')
