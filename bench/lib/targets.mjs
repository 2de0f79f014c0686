// The targets, and how the figures of one workload stand against them.
// A check is { what, target, value, ok, detail }: `value` is the figure that the
// target bounds, and `ok` is null where something is missing to compare with.
import { isPeer } from './engines.mjs'

const MAINTAINED = 'maintained per batch'
/** Against the C limit: load by workload, and batches everywhere. */
const C_LOAD = { W1: 4, W2: 4, W3: 5, W4: 5 }
const C_BATCH = 5
const DELTA_FACTOR = 8
const LOAD_FACTOR = 3

const good = s => s !== undefined && s.status === 'ok'

/** The best correct peer by a figure, or null. `better(a, b)` says whether a beats b. */
function best(peers, figure, better) {
  let winner = null
  for (const p of peers) {
    if (p[figure] > 0 && (winner === null || better(p[figure], winner[figure]))) winner = p
  }
  return winner
}
const least = (a, b) => a < b
const most = (a, b) => a > b

/** All checks of a workload, from its summary entries. */
export function checks(workload, entries) {
  const find = name => entries.find(s => s.engine === name)
  const peers = entries.filter(s => isPeer(s.engine) && good(s))
  const out = []
  const rows = find('gnitz')
  if (good(rows)) out.push(...rowChecks(workload, rows, peers))
  const columns = find('gnitz-columns')
  const c = find('limit-c')
  if (good(columns) && workload in C_LOAD) out.push(...limitChecks(workload, columns, c))
  if (good(columns) && (workload === 'W1' || workload === 'W2')) out.push(scavenges(columns))
  return out
}

function rowChecks(workload, gnitz, peers) {
  const first = workload === 'W1'
  const loaders = peers.filter(p => first || p.loadMode === MAINTAINED)
  const out = [
    faster(
      'load',
      gnitz,
      best(loaders, 'loadRowsPerS', most),
      'loadRowsPerS',
      first ? 1 : LOAD_FACTOR,
      (a, b) => a / b,
    ),
  ]
  if (!first && workload !== 'W7')
    out.push(faster('1,000 changes', gnitz, best(peers, 'batchP50', least), 'batchP50', DELTA_FACTOR, (a, b) => b / a))
  out.push(
    faster(
      'one change',
      gnitz,
      best(peers, 'singleP50', least),
      'singleP50',
      workload === 'W7' ? DELTA_FACTOR : 1,
      (a, b) => b / a,
    ),
  )
  return out
}

function faster(label, gnitz, peer, figure, factor, ratio) {
  const value = peer ? ratio(gnitz[figure], peer[figure]) : null
  return {
    what: `gnitz ${label}`,
    target: `≥ ${factor}× ${peer?.engine ?? 'the fastest peer'}`,
    value,
    ok: value === null ? null : value >= factor,
    short: value === null ? null : factor / value,
    figure,
    ours: gnitz[figure],
    theirs: peer?.[figure] ?? null,
  }
}

function limitChecks(workload, columns, c) {
  const bound = (label, figure, factor, slower) => {
    const value = good(c) && columns[figure] > 0 ? slower(columns[figure], c[figure]) : null
    return {
      what: `gnitz-columns ${label}`,
      target: `≤ ${factor}× limit-c`,
      value,
      ok: value === null ? null : value <= factor,
      short: value === null ? null : value / factor,
      figure,
      ours: columns[figure],
      theirs: good(c) ? c[figure] : null,
    }
  }
  return [
    bound('load', 'loadRowsPerS', C_LOAD[workload], (a, b) => b / a),
    bound('batches', 'batchP50', C_BATCH, (a, b) => a / b),
  ]
}

function scavenges(columns) {
  return {
    what: 'gnitz-columns scavenges, warm',
    target: '= 0',
    value: columns.scavenges,
    ok: columns.scavenges === null ? null : columns.scavenges === 0,
    short: null,
    figure: null,
    ours: null,
    theirs: null,
  }
}
