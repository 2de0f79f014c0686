// Medians over the runs of a combination, and the records written as JSON.

const FIGURES = [
  'loadRowsPerS',
  'deltaPerS',
  'batchP50',
  'batchP99',
  'singleP50',
  'singleP99',
  'stateBytes',
  'scavenges',
  'peakRssMB',
]

export function median(values) {
  const s = values.filter(x => typeof x === 'number' && Number.isFinite(x)).sort((x, y) => x - y)
  if (s.length === 0) return null
  const m = s.length >> 1
  return s.length % 2 ? s[m] : (s[m - 1] + s[m]) / 2
}

/** One entry per (engine, workload) in order of appearance: medians, and the first thing that went wrong. */
export function summarise(results) {
  const groups = new Map()
  for (const r of results) {
    const key = `${r.peer} ${r.workload}`
    groups.set(key, [...(groups.get(key) ?? []), r])
  }
  return [...groups.values()].map(runs => {
    const [first] = runs
    const odd = runs.find(r => r.status === 'wrong') ?? runs.find(r => r.status !== 'ok')
    const s = { engine: first.peer, workload: first.workload, status: odd?.status ?? 'ok', loadMode: first.loadMode }
    for (const f of FIGURES) s[f] = median(runs.map(r => r[f]))
    s.detail = odd ? (odd.wrongDetail ?? odd.error ?? odd.progress) : null
    s.runs = runs.length
    s.noisy = runs.filter(r => r.noisy).length
    return s
  })
}

const times = (x, factor) => (x === null ? null : Number((x * factor).toPrecision(6)))

/** What `--json` writes: times in milliseconds a batch and microseconds a single change, bytes, counts. */
export function records(summary) {
  return summary.map(s => ({
    engine: s.engine,
    workload: s.workload,
    correct: s.status === 'ok',
    loadRowsPerS: times(s.loadRowsPerS, 1),
    batchP50Ms: times(s.batchP50, 1),
    batchP99Ms: times(s.batchP99, 1),
    singleP50Us: times(s.singleP50, 1000),
    singleP99Us: times(s.singleP99, 1000),
    stateBytes: s.stateBytes,
    scavenges: s.scavenges,
  }))
}
