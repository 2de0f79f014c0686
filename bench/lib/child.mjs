// One (engine, workload) in its own process. Prints one JSON line per progress
// step and a final line with the result. An adapter whose variant says
// `input: 'columns'` gets column batches (columns.mjs), all others row objects.

import { deltaBatch, loadBatches, rowMaker } from './batches.mjs'
import { deltaColumns, loadColumns } from './columns.mjs'
import { makeWorkload } from './data.mjs'
import { GcCounter } from './gc.mjs'
import { hashRows, referenceRows, WIDTH } from './reference.mjs'

const [, , modulePath, variant, wname, scaleArg, budgetArg] = process.argv
const scale = Number(scaleArg ?? 1)
const budgetMs = Number(budgetArg ?? 180_000)
const say = o => process.stdout.write(JSON.stringify(o) + '\n')

// A fixed integer loop: how fast is this core right now?
function calibrate() {
  let best = Infinity
  for (let k = 0; k < 5; k++) {
    const t = performance.now()
    let x = 1
    for (let i = 0; i < 10_000_000; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0
    if (x === 42) say({ x })
    best = Math.min(best, performance.now() - t)
  }
  return best
}

const quantile = (a, q) => {
  const s = Float64Array.from(a).sort()
  return s.length ? s[Math.min(s.length - 1, Math.ceil(q * s.length) - 1)] : null
}
const sum = a => a.reduce((x, y) => x + y, 0)
const round = (x, d = 3) => (x === null ? null : Number(x.toFixed(d)))
const mb = b => Math.round(b / 1048576)

const calibration = calibrate()
const w = makeWorkload(wname, scale)
const mod = await import(modulePath)
const feed = feedOf(mod.variants[variant].input)
// An engine that is compared with the warmed-up limits may warm up too, on an instance of its own that is thrown away.
mod.variants[variant].warm?.(w, feed)
const gc = new GcCounter()
const out = { peer: variant, workload: wname, scale, calibrationMs: round(calibration), status: 'ok' }
const started = performance.now()
let engineMs = 0
const over = () => performance.now() - started > budgetMs

globalThis.gc?.()
out.rssBaseMB = mb(process.memoryUsage.rss())
const cpu0 = process.cpuUsage()

const t0 = performance.now()
const inst = await mod.create(w, variant)
out.openMs = round(performance.now() - t0, 1)
say({ progress: 'open' })

await load()
if (out.status === 'ok' && w.batches.length) await deltas()
if (out.status === 'ok') await singles()
out.peakRssMB = Math.round(process.resourceUsage().maxRSS / 1024)
const cpu = process.cpuUsage(cpu0)
out.cpuS = round((cpu.user + cpu.system) / 1e6, 2)
out.engineS = round(engineMs / 1000, 2)
out.calibrationEndMs = round(calibrate())
say({ progress: 'checking' })
if (out.status === 'ok') await check()
out.stateBytes = inst.stateBytes?.() ?? null
if (inst.notes) out.notes = inst.notes
await inst.close?.()
say({ result: out })
process.exit(0)

function feedOf(input) {
  if (input === 'columns') return { load: () => loadColumns(w), delta: spec => deltaColumns(w, spec) }
  const row = rowMaker(w)
  return { load: () => loadBatches(w, row), delta: spec => deltaBatch(row, spec) }
}

async function timed(fn, arg) {
  const t = performance.now()
  const p = fn(arg)
  if (p && typeof p.then === 'function') await p
  const ms = performance.now() - t
  engineMs += ms
  return ms
}

// The engine's times of the second half of a phase, for counting collections.
function warmSpans(starts, lat) {
  const from = starts.length >> 1
  return starts.slice(from).map((t, i) => [t, t + lat[from + i]])
}

function ticker(phase) {
  let last = performance.now()
  return extra => {
    if (performance.now() - last < 2000) return
    last = performance.now()
    say({ progress: phase, ...extra })
  }
}

async function load() {
  const lat = []
  const starts = []
  let loaded = 0
  const tick = ticker('load')
  const fn = inst.load ?? inst.apply
  for (const b of feed.load()) {
    starts.push(performance.now())
    lat.push(await timed(fn, b))
    loaded += b.changes
    tick({ loaded, seconds: round(sum(lat) / 1000, 1) })
    if (over()) {
      out.status = 'timeout'
      out.progress = `load: ${loaded} rows in ${round(sum(lat) / 1000, 1)} s`
      break
    }
  }
  if (w.batches.length === 0) out.scavenges = await gc.minors(warmSpans(starts, lat))
  if (out.status === 'ok' && inst.loaded) lat.push(await timed(inst.loaded))
  out.loadRows = loaded
  out.loadMs = round(sum(lat), 1)
  out.loadRowsPerS = Math.round(loaded / (sum(lat) / 1000))
  out.loadMode = inst.loadMode ?? 'maintained per batch'
  if (w.name === 'W1') {
    out.batchP50 = round(quantile(lat, 0.5))
    out.batchP99 = round(quantile(lat, 0.99))
    out.batchSize = w.loadBatch
  }
  say({ progress: 'loaded', loadMs: out.loadMs })
  if (globalThis.gc) {
    globalThis.gc()
    const m = process.memoryUsage()
    out.heapAfterLoadMB = mb(m.heapUsed + m.external)
    out.rssAfterLoadMB = mb(m.rss)
  }
}

async function deltas() {
  const d = []
  const starts = []
  let changes = 0
  const tick = ticker('delta')
  for (const spec of w.batches) {
    const b = feed.delta(spec)
    starts.push(performance.now())
    d.push(await timed(inst.apply, b))
    changes += b.changes
    tick({ batches: d.length, of: w.batches.length })
    if (over()) {
      out.status = 'timeout'
      out.progress = `load done; deltas: ${d.length} of ${w.batches.length} batches`
      break
    }
  }
  out.scavenges = await gc.minors(warmSpans(starts, d))
  out.deltaBatches = d.length
  out.deltaChanges = changes
  out.deltaMs = round(sum(d), 1)
  out.deltaPerS = Math.round(changes / (sum(d) / 1000))
  out.batchP50 = round(quantile(d, 0.5), 4)
  out.batchP99 = round(quantile(d, 0.99), 4)
  out.batchSize = w.batchChanges
}

async function singles() {
  const s = []
  const tick = ticker('single')
  for (const spec of w.singles) {
    const b = feed.delta(spec)
    s.push(await timed(inst.apply, b))
    tick({ batches: s.length, of: w.singles.length })
    if (over()) {
      out.status = 'timeout'
      out.progress = `load and deltas done; single changes: ${s.length} of ${w.singles.length}`
      break
    }
  }
  out.singles = s.length
  out.singleP50 = round(quantile(s, 0.5), 5)
  out.singleP99 = round(quantile(s, 0.99), 5)
}

async function check() {
  const got = await inst.rows()
  const want = referenceRows(w)
  out.hash = hashRows(got, WIDTH[wname])
  out.wantHash = hashRows(want, WIDTH[wname])
  if (out.hash === out.wantHash) return
  out.status = 'wrong'
  const key = r => r.join(',')
  const a = new Set(want.map(key))
  const b = new Set(got.map(key))
  const missing = want.filter(r => !b.has(key(r)))
  const extra = got.filter(r => !a.has(key(r)))
  out.wrongDetail = `${missing.length} of ${want.length} expected rows missing, ${extra.length} unexpected`
  out.wrongSample = { missing: missing.slice(0, 2), extra: extra.slice(0, 2) }
}
