/** `gnitz manifest`: what a directory consists of. */
import type { FileId, ShardEntry, TableEntry } from '../../storage/types.js'
import { shardFile, valueFile } from '../../storage/types.js'
import { type Command, readArguments } from './command.js'
import { Source } from './source.js'
import { bytesText, hex, integer, keysText, plural, tableText } from './text.js'

const usage = `Usage: gnitz manifest DIR [--table NAME] [--json]

Shows the tables of a directory and the shards they are made of, as of the last checkpoint.

  --table NAME  only this table
  --json        one JSON value`

export const manifest: Command = {
  name: 'manifest',
  summary: ['manifest DIR', 'tables and shards of a directory'],
  usage,
  async run(args, output) {
    const given = readArguments(manifest, args, { table: { type: 'string' } })
    const source = await Source.open(given.paths[0])
    const tables = source.tables(given.text('table'))
    if (given.json) await output.json(toJson(source, tables))
    else for (const line of toText(source, tables)) await output.line(line)
    return 0
  },
}

const keyIds = (source: Source): number[] => (source.manifest.keys ?? []).map(({ id }) => id)

function valuesJson(source: Source): object[] {
  return (source.manifest.valueFiles ?? []).map(({ fileId, sizeBytes }) => {
    return { file: valueFile(fileId), fileId, sizeBytes, liveBytes: liveBytes(source, fileId) }
  })
}

function toJson(source: Source, tables: readonly TableEntry[]): object {
  const { version, generation, globalMaxLsn, nextFileId, nextTableId, logEnd } = source.manifest
  return {
    ...{ file: source.manifestPath, version, generation, globalMaxLsn, nextFileId, nextTableId, logEnd },
    tables: tables.map(table => ({
      ...{ ...table, schemaHash: hex(table.schemaHash) },
      shards: source.shardsOf(table.tableId).map(shardJson),
    })),
    values: valuesJson(source),
    keys: keyIds(source),
  }
}

export function shardJson(shard: ShardEntry): object {
  return { file: shardFile(shard.fileId), ...shard, checksum: hex(shard.checksum) }
}

function toText(source: Source, tables: readonly TableEntry[]): string[] {
  const { generation, globalMaxLsn, nextFileId, shards, logEnd } = source.manifest
  const rows = shards.reduce((sum, s) => sum + s.rowCount, 0)
  const bytes = shards.reduce((sum, s) => sum + s.sizeBytes, 0)
  return [
    `${source.manifestPath}: generation ${generation}, checkpoint at transaction ${globalMaxLsn}, next file ${nextFileId}`,
    ...(logEnd === null || logEnd.lsn <= globalMaxLsn ? [] : [`the log goes on at least to transaction ${logEnd.lsn}`]),
    `${plural(source.manifest.tables.length, 'table')}, ${plural(shards.length, 'shard')} with ${plural(rows, 'row')} in ${bytesText(bytes)}`,
    ...tables.flatMap(table => ['', ...tableLines(source, table)]),
    ...valueLines(source),
    ...(keyIds(source).length === 0 ? [] : ['', `files may be encrypted with key ${keyIds(source).join(', ')}`]),
  ]
}

/** Bytes of a value log that shards of all tables refer to. */
function liveBytes(source: Source, fileId: FileId): number {
  const references = source.manifest.shards.flatMap(s => s.references ?? [])
  return references.reduce((sum, r) => (r.fileId === fileId ? sum + r.bytes : sum), 0)
}

function valueLines(source: Source): string[] {
  const { valueFiles = [] } = source.manifest
  if (valueFiles.length === 0) return []
  const rows = valueFiles.map(({ fileId, sizeBytes }) => {
    const live = liveBytes(source, fileId)
    return [valueFile(fileId), integer(sizeBytes), integer(live), `${Math.round((live / sizeBytes) * 100)} %`]
  })
  return ['', ...tableText(['value log', '>bytes', '>live', '>'], rows)]
}

function tableLines(source: Source, table: TableEntry): string[] {
  const { tableId, kind, descriptor, flushedLsn, schemaHash } = table
  const { layout } = source.kernelsFor(table)
  const order = descriptor.order.map(o => `${o.column}${o.descending ? ' desc' : ''}`)
  const lines = [
    `table ${tableId} ${descriptor.name}: ${kind}, ${descriptor.policy}, weights ${descriptor.weights}, up to transaction ${flushedLsn}, schema ${hex(schemaHash)}`,
    `  columns  ${descriptor.columns.map(c => `${c.name} ${c.type}${c.nullable ? '?' : ''}`).join(', ')}`,
    `  key      ${descriptor.key.join(', ') || 'none'} (${layout.key.kind}, ${layout.key.words * 64} bits), then ${order.join(', ') || 'nothing'}`,
  ]
  const rows = source
    .shardsOf(tableId)
    .map(s => [
      shardFile(s.fileId),
      String(s.level),
      integer(s.rowCount),
      integer(s.sizeBytes),
      s.minLsn === s.maxLsn ? String(s.minLsn) : `${s.minLsn} … ${s.maxLsn}`,
      String(s.weightBound),
      keysText(layout, s),
    ])
  if (rows.length === 0) return lines
  const heading = ['shard', '>level', '>rows', '>bytes', 'transactions', '>weights', 'keys']
  return [...lines, ...tableText(heading, rows).map(line => `  ${line}`)]
}
