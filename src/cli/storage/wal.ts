/** `gnitz wal`: the transactions of the log, as they are or as they come, and tables as they were after one. */
import { joinPath } from '../../env/env.js'
import { type Lsn, parseFile } from '../../storage/types.js'
import type { WalGroup } from '../../storage/wal/groups.js'
import { type BlockInfo, scanSegment } from '../../storage/wal/scan.js'
import { listSegments, type SegmentName } from '../../storage/wal/segment.js'
import { readGroups, tail } from '../../storage/wal/tail.js'
import { CliError } from '../cli-error.js'
import type { Output } from '../terminal.js'
import { type Arguments, type Command, readArguments } from './command.js'
import { replay } from './replay.js'
import { Source, split } from './source.js'
import { hex, jsonRow, plural, rowText, tableText, timeText } from './text.js'

const usage = `Usage: gnitz wal DIR|FILE [options]

Shows the transactions in the log of a directory, or in one segment of it, with their rows.

  --after LSN      only transactions after this one
  --until LSN      only transactions up to this one
  --table NAME     only changes of this table
  --rows N         this many rows of each table in a transaction (default: 10)
  --follow, -f     goes on with what is written from now on, until Ctrl-C
  --blocks         the blocks as they lie in the files, sound or not; exit code 1 if one is not
  --replay-to LSN  instead of the log: the rows of a table (--table) as they were after this transaction, or at a time
                   (2026-01-31T12:00:00Z): after the last transaction that is not later
  --json           JSON lines`

const OPTIONS = {
  after: { type: 'string' },
  until: { type: 'string' },
  table: { type: 'string' },
  rows: { type: 'string' },
  follow: { type: 'boolean', short: 'f', default: false },
  blocks: { type: 'boolean', default: false },
  'replay-to': { type: 'string' },
} as const

export const wal: Command = {
  name: 'wal',
  summary: ['wal DIR|FILE', 'transactions of the log; a table as it was after one of them'],
  usage,
  async run(args, output) {
    const given = readArguments(wal, args, OPTIONS)
    const { directory, file } = split(given.paths[0])
    const source = await Source.open(directory)
    const to = given.text('replay-to')
    if (to !== undefined) {
      await replay(source, given.text('table'), given.moment('replay-to'), given, output)
      return 0
    }
    const segments = segmentsOf(source, file)
    if (given.flag('blocks')) return await showBlocks(source, segments, given, output)
    await showTransactions(source, segments, file !== null, given, output)
    return 0
  },
}

function segmentsOf(source: Source, file: string | null): SegmentName[] {
  if (file === null) return listSegments(source.env, source.directory)
  const parsed = parseFile(file)
  if (parsed?.kind === 'wal') return [{ path: joinPath(source.directory, file), firstLsn: parsed.id }]
  throw new CliError(`${joinPath(source.directory, file)}: expected a segment, wal-<16 hex digits>.log`)
}

async function showTransactions(
  source: Source,
  segments: readonly SegmentName[],
  oneFile: boolean,
  given: Arguments,
  output: Output,
): Promise<void> {
  const { env, directory: dir } = source
  const until = given.lsn('until')
  const follow = given.flag('follow')
  const table = given.text('table')
  const wanted = table === undefined ? null : source.tableNamed(table).tableId
  const start = segments.length === 0 ? source.manifest.globalMaxLsn : beginning(source, segments[0])
  const asked = given.lsn('after') ?? 0n
  const after = asked > start ? asked : start
  const options = { env, dir, tableOf: (id: number) => source.kernelsOf(id), keys: source.keys, after }
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  const groups = follow ? tail({ ...options, signal: stop.signal }) : readGroups(options)
  if (follow) for (const signal of SIGNALS) process.on(signal, interrupt)
  try {
    for await (const group of groups) {
      if (until !== undefined && group.lsn > until) break
      if (oneFile && group.file !== segments[0].path) break
      await show(source, group, wanted, given, output)
      if (follow) output.flush()
      if (group.lsn === until) break
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The transaction that a segment follows. */
function beginning({ env }: Source, { path, firstLsn }: SegmentName): Lsn {
  for (const found of scanSegment(env, path)) {
    return found.kind === 'block' && found.note !== null ? found.note.previousLsn : firstLsn - 1n
  }
  return firstLsn - 1n
}

async function show(source: Source, group: WalGroup, wanted: number | null, given: Arguments, output: Output) {
  const { lsn, time, file, offset, end } = group
  const parts = group.parts.filter(p => wanted === null || p.tableId === wanted)
  if (parts.length === 0) return
  const limit = given.count('rows', 10)
  if (given.json) {
    const shown = parts.map(({ tableId, batch }) => ({
      ...{ tableId, table: source.nameOf(tableId), rowCount: batch.length },
      rows: Array.from({ length: Math.min(limit, batch.length) }, (_, i) => jsonRow(batch, i)),
    }))
    await output.json({
      lsn,
      time: time === null ? null : timeText(time),
      file,
      offset,
      sizeBytes: end - offset,
      parts: shown,
    })
    return
  }
  const when = time === null ? '' : `, ${timeText(time)}`
  await output.line(`transaction ${lsn}${when}: ${file}, byte ${offset}, ${plural(end - offset, 'byte')}`)
  for (const { tableId, batch } of parts) {
    await output.line(`  ${source.nameOf(tableId)}: ${plural(batch.length, 'row')}`)
    for (let i = 0; i < Math.min(limit, batch.length); i++) await output.line(`    ${rowText(batch, i)}`)
    if (limit > 0 && limit < batch.length) await output.line(`    … ${plural(batch.length - limit, 'row')} more`)
  }
}

function blockJson({ note, checksum, ...rest }: BlockInfo): object {
  const time = note === null || note.time === null ? null : timeText(note.time)
  return { ...rest, checksum: hex(checksum), note: note === null ? null : { ...note, time } }
}

const HEADING = ['>byte', '>bytes', '>LSN', 'table', '>entries', '>tail', 'checksum', 'flags', '']

async function showBlocks(
  source: Source,
  segments: readonly SegmentName[],
  { json }: Arguments,
  output: Output,
): Promise<number> {
  let code = 0
  for (const { path } of segments) {
    const rows: string[][] = []
    for (const found of scanSegment(source.env, path)) {
      if (found.fault !== null) code = 1
      const { offset, sizeBytes } = found
      if (json) {
        await output.json(found.kind === 'block' ? blockJson(found) : found)
      } else if (found.kind !== 'block') {
        const what = found.kind === 'gap' ? `no block: ${found.fault}` : 'zeros'
        rows.push([String(offset), String(sizeBytes), '', '', '', '', '', '', what])
      } else {
        const { note } = found
        const declared = note?.tables.map(t => `${source.nameOf(t.tableId)} of ${t.stride} bytes`).join(', ') ?? ''
        const time = note === null || note.time === null ? '' : `, ${timeText(note.time)}`
        const says =
          note === null ? '' : `after ${note.previousLsn}${time}${declared === '' ? '' : `; rows of ${declared}`}`
        rows.push([
          ...[String(offset), String(sizeBytes), String(found.lsn)],
          ...[note === null ? source.nameOf(found.tableId) : 'note', String(found.entryCount), String(found.tailBytes)],
          ...[hex(found.checksum), [found.more && 'more', found.synced && 'synced'].filter(Boolean).join(' ')],
          found.fault ?? says,
        ])
      }
    }
    if (json) continue
    await output.line(path)
    for (const line of tableText(HEADING, rows)) await output.line(`  ${line}`)
  }
  return code
}
