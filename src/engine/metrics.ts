/** Figures of a database as Prometheus text (exposition format 0.0.4): what a scraper reads. */
import { GnitzError } from '../base/errors.js'
import type { Relation } from '../circuit/rel.js'
import type { Storage } from '../storage/storage.js'
import type { Database } from './database.js'

interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number | bigint
}

/** One metric with its samples; none if it has none. */
function metric(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return ''
  const lines = samples.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`)
    return `gnitz_${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
  })
  return `# HELP gnitz_${name} ${help}\n# TYPE gnitz_${name} ${type}\n${lines.join('')}`
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

/** All metrics of a database. */
export function metricsOf(database: Database): string {
  const views = database.views.map(view => ({ labels: { view: view.name }, stats: view.stats() }))
  const tables = database.tables.map(table => ({ labels: { table: table.name }, stats: table.stats() }))
  const perView = (value: (stats: (typeof views)[number]['stats']) => number): Sample[] =>
    views.map(({ labels, stats }) => ({ labels, value: value(stats) }))
  const perTable = (value: (stats: (typeof tables)[number]['stats']) => number): Sample[] =>
    tables.map(({ labels, stats }) => ({ labels, value: value(stats) }))
  const text = [
    metric('lsn', 'counter', 'Number of the last transaction.', [{ value: database.lsn }]),
    metric('open_snapshots', 'gauge', 'Snapshots that have not been released.', [
      { value: database.openSnapshots.snapshots },
    ]),
    metric(
      'table_rows',
      'gauge',
      'Rows of a table, as an upper bound.',
      perTable(s => s.stateRows),
    ),
    metric(
      'table_bytes',
      'gauge',
      'Bytes that the rows of a table need.',
      perTable(s => s.stateBytes),
    ),
    metric(
      'late_rows_total',
      'counter',
      'Changes of a table or view that were dropped for being late.',
      lateSamples(database),
    ),
    metric(
      'view_rows_in_total',
      'counter',
      'Rows that the tables of a view took in.',
      perView(s => s.rowsIn),
    ),
    metric(
      'view_rows_out_total',
      'counter',
      'Rows by which a view changed.',
      perView(s => s.rowsOut),
    ),
    metric(
      'view_seconds_total',
      'counter',
      'Time in steps of a view.',
      perView(s => s.milliseconds / 1000),
    ),
    metric(
      'view_state_bytes',
      'gauge',
      'Bytes that the state of a view needs.',
      perView(s => s.stateBytes),
    ),
    metric(
      'view_errors',
      'gauge',
      'Failed rows.',
      database.views.map(v => ({ labels: { view: v.name }, value: v.errors().length })),
    ),
  ]
  return [...text, ...directoryMetrics(database)].join('')
}

const lateSamples = ({ tables, views }: Database): Sample[] => [
  ...tables.filter(isLateable).map(t => ({ labels: { table: t.name }, value: t.late.count })),
  ...views.filter(isLateable).map(v => ({ labels: { view: v.name }, value: v.late.count })),
]

const isLateable = ({ definition }: { readonly definition: Pick<Relation, 'waterlines'> }): boolean =>
  (definition.waterlines ?? []).length > 0

/** Of a durable database only. */
function directoryMetrics({ durability }: Database): string[] {
  if (durability === null) return []
  const { storage, parts } = durability
  const trees = storage.tables.map(tree => tree.stats())
  const sum = (of: (s: (typeof trees)[number]) => number): Sample[] => [{ value: trees.reduce((n, s) => n + of(s), 0) }]
  return [
    metric('checkpoint_lsn', 'counter', 'Last transaction of the last checkpoint.', [{ value: storage.checkpointLsn }]),
    metric('log_bytes', 'gauge', 'Length of the log, with what is kept of it beyond the last checkpoint.', [
      { value: storage.logBytes },
    ]),
    metric('log_replay_bytes', 'gauge', 'Length of the log since the last checkpoint.', [{ value: storage.walBytes }]),
    ...startMetrics(storage),
    metric('hot_bytes', 'gauge', 'Memory of rows and state that are not in shards.', [{ value: parts.hotBytes }]),
    metric(
      'shards',
      'gauge',
      'Shards.',
      sum(s => s.shards),
    ),
    metric(
      'shard_bytes',
      'gauge',
      'Bytes of shards.',
      sum(s => s.diskBytes),
    ),
    metric('amplification', 'gauge', 'Most shards that overlap on one key of a table.', [
      { value: Math.max(0, ...trees.map(s => s.amplification)) },
    ]),
  ]
}

/** How far back `snapshotAt` reaches; nothing if the log cannot be read. */
function startMetrics(storage: Storage): string[] {
  try {
    const { lsn, time } = storage.logStart
    const seconds = time === null ? [] : [{ value: Number(time) / 1e6 }]
    return [
      metric('log_start_lsn', 'counter', 'The oldest state that snapshotAt reaches.', [{ value: lsn }]),
      metric('log_start_timestamp_seconds', 'gauge', 'When the first transaction of the log was made.', seconds),
    ]
  } catch (error) {
    if (!(error instanceof GnitzError)) throw error
    return []
  }
}
