/** A table as it was after one transaction, or at one time: its shards and the log up to there. */
import { MergeCursor } from '../../storage/compaction/cursor.js'
import { MemTable } from '../../storage/memtable/memtable.js'
import type { Shard } from '../../storage/shard/reader.js'
import { loadStringHash } from '../../storage/strings.js'
import type { Lsn, TableEntry } from '../../storage/types.js'
import { readGroups } from '../../storage/wal/tail.js'
import type { Batch } from '../../zset/batch.js'
import { CliError } from '../cli-error.js'
import type { Output } from '../terminal.js'
import type { Arguments, Moment } from './command.js'
import type { Source } from './source.js'
import { integer, jsonRow, rowText, timeText } from './text.js'

/** Throws CliError if the table is not named, not logged, or if its state then can no longer be had. */
export async function replay(
  source: Source,
  name: string | undefined,
  to: Moment,
  given: Arguments,
  output: Output,
): Promise<void> {
  if (name === undefined) throw new CliError('--replay-to: expected --table NAME', 2)
  await loadStringHash()
  const { shards, runs } = await source.atOneMoment(() => stateAt(source, source.tableNamed(name), to))
  try {
    const cursor = new MergeCursor(source.kernelsFor(source.tableNamed(name)), runs)
    const limit = given.count('rows', Number.POSITIVE_INFINITY)
    let count = 0
    for (let batch = cursor.next(); batch !== null; batch = cursor.next()) {
      for (let i = 0; i < batch.length; i++) {
        count++
        if (count > limit) continue
        if (given.json) await output.json(jsonRow(batch, i))
        else await output.line(rowText(batch, i))
      }
    }
    if (!given.json && count > limit) await output.line(`… ${integer(count - limit)} more of ${integer(count)} rows`)
  } finally {
    for (const shard of shards) shard.release()
  }
}

/** The transaction that a moment comes to. Throws CliError if the log does not tell. */
function lsnAt(source: Source, moment: Moment): Lsn {
  if ('lsn' in moment) return moment.lsn
  const checkpoint = source.manifest.globalMaxLsn
  const log = {
    env: source.env,
    dir: source.directory,
    tableOf: source.kernelsOf.bind(source),
    keys: source.keys,
    after: checkpoint,
  }
  const fail = (problem: string) => new CliError(`--replay-to ${timeText(moment.time)}: ${problem}`)
  let found: Lsn | null = null
  for (const { lsn, time } of readGroups(log)) {
    if (time === null) throw fail(`transaction ${lsn} has no time; name a transaction`)
    if (time > moment.time) {
      if (found !== null) return found
      throw fail(
        `the first transaction that is not in shards is ${lsn}, of ${timeText(time)}; before it nothing can be shown`,
      )
    }
    found = lsn
  }
  if (found !== null) return found
  throw fail(`everything up to transaction ${checkpoint} is in shards, and the log does not say when that was`)
}

function stateAt(source: Source, table: TableEntry, moment: Moment): { shards: Shard[]; runs: Batch[] } {
  const to = lsnAt(source, moment)
  const { tableId, flushedLsn, kind, descriptor } = table
  const fail = (problem: string) => new CliError(`table ${descriptor.name}: ${problem}`)
  if (kind === 'ephemeral' && to !== flushedLsn) {
    throw fail(`it is not in the log; it can be shown as of its last checkpoint, transaction ${flushedLsn}, only`)
  }
  if (to < flushedLsn)
    throw fail(`transactions up to ${flushedLsn} are in its shards already, so ${to} cannot be shown`)
  const kernels = source.kernelsFor(table)
  const memory = new MemTable(kernels)
  let last = source.manifest.globalMaxLsn
  const log = {
    env: source.env,
    dir: source.directory,
    tableOf: source.kernelsOf.bind(source),
    keys: source.keys,
    after: last,
  }
  if (to > last) {
    for (const { lsn, parts } of readGroups(log)) {
      if (lsn > to) break
      last = lsn
      for (const part of parts) if (part.tableId === tableId) memory.insert(part.batch, lsn, true)
      if (lsn === to) break
    }
  }
  if (last < to) throw fail(`the last transaction is ${last}; there is no ${to} yet`)
  const shards: Shard[] = []
  try {
    for (const entry of source.shardsOf(tableId)) shards.push(source.openShard(entry))
    return { shards, runs: [...shards.map(s => s.rows()), ...memory.runs()] }
  } catch (error) {
    for (const shard of shards) shard.release()
    throw error
  }
}
