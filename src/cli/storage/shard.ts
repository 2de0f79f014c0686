/** `gnitz shard`: what is in shards, regions and rows. */
import { CorruptionError } from '../../base/errors.js'
import { checkMagic, HEADER_BYTES } from '../../storage/shard/format.js'
import { Shard } from '../../storage/shard/reader.js'
import { parseFile, type ShardEntry, type TableId, valueFile } from '../../storage/types.js'
import { CliError } from '../cli-error.js'
import type { Output } from '../terminal.js'
import { type Command, readArguments } from './command.js'
import { shardJson } from './manifest.js'
import { Source, split } from './source.js'
import { hex, integer, jsonRow, keysText, plural, rowText, tableText } from './text.js'

const usage = `Usage: gnitz shard FILE|DIR… [--table NAME] [--rows N] [--json]

Shows shards: their regions, and their rows in order, each with its weight. Columns are those that the manifest
beside the file gives the table. Of a directory, all shards that its manifest lists. Keys of encrypted ones are in
the environment, GNITZ_KEYS=ID:HEX,…

  --table NAME  only shards of this table
  --rows N      this many rows of each shard (default: 10)
  --json        JSON lines: of each shard one with its regions, then one per row`

/** A shard and where it was found. */
interface Found {
  readonly source: Source
  /** Null if the manifest does not list it. */
  readonly entry: ShardEntry | null
  readonly shard: Shard
}

const ROWS_AT_ONCE = 4096

export const shard: Command = {
  name: 'shard',
  summary: ['shard FILE|DIR…', 'regions and rows of shards'],
  usage,
  async run(args, output) {
    const given = readArguments(
      shard,
      args,
      { table: { type: 'string' }, rows: { type: 'string' } },
      Number.POSITIVE_INFINITY,
    )
    const rows = given.count('rows', 10)
    for (const path of given.paths) {
      for (const found of await find(path, given.text('table'))) {
        try {
          await show(found, rows, given.json, output)
        } finally {
          found.shard.release()
        }
      }
    }
    return 0
  },
}

async function find(path: string, table: string | undefined): Promise<Found[]> {
  const { directory, file } = split(path)
  const source = await Source.open(directory)
  if (file !== null) return [openFile(source, path, file)]
  return await source.atOneMoment(() => openAll(source, table))
}

function openAll(source: Source, table: string | undefined): Found[] {
  const found: Found[] = []
  try {
    for (const { tableId } of source.tables(table)) {
      for (const entry of source.shardsOf(tableId)) found.push({ source, entry, shard: source.openShard(entry) })
    }
    return found
  } catch (error) {
    for (const { shard } of found) shard.release()
    throw error
  }
}

/** A file that the manifest does not list says by itself which table it belongs to. */
function openFile(source: Source, path: string, file: string): Found {
  const parsed = parseFile(file)
  const entry = source.manifest.shards.find(s => parsed?.kind === 'shard' && s.fileId === parsed.id) ?? null
  if (entry !== null) return { source, entry, shard: source.openShard(entry) }
  const tableId = tableIdOf(source, path)
  const kernels = source.kernelsOf(tableId)
  if (kernels === null) throw new CliError(`${path}: it belongs to table ${tableId}, which the manifest does not have`)
  return {
    source,
    entry,
    shard: Shard.open(source.env, path, tableId, kernels.layout, null, 'auto', {
      values: source.values,
      keys: source.keys,
      fileId: parsed?.id,
    }),
  }
}

function tableIdOf({ env }: Source, path: string): TableId {
  const file = env.open(path, 'read')
  try {
    const header = new Uint8Array(HEADER_BYTES)
    const read = file.read(header, 0)
    if (read < HEADER_BYTES) throw new CorruptionError(path, read, `expected a header of ${HEADER_BYTES} bytes`)
    checkMagic(header, path)
    return Number(new DataView(header.buffer).getBigUint64(32, true))
  } finally {
    file.close()
  }
}

async function show({ source, entry, shard }: Found, rows: number, json: boolean, output: Output): Promise<void> {
  const { regions, path, rowCount, sizeBytes, tableId, layout, checksum, minKey, maxKey } = shard
  const table = source.nameOf(tableId)
  if (json) {
    const listed = entry === null ? null : shardJson(entry)
    const parts = regions.map(r => ({
      ...{ region: r.label, column: r.column?.name ?? null },
      ...{ offset: r.offset, sizeBytes: r.sizeBytes, checksum: hex(r.checksum) },
    }))
    const about = {
      path,
      tableId,
      table,
      rowCount,
      sizeBytes,
      minKey,
      maxKey,
      checksum: hex(checksum),
      keyId: shard.sealing?.keyId ?? null,
    }
    await output.json({ ...about, manifest: listed, regions: parts })
  } else {
    const place = entry === null ? 'not in the manifest' : `level ${entry.level}`
    await output.line(`${path}: table ${tableId} ${table}, ${place}`)
    const keys = rowCount === 0 ? '' : `, keys ${keysText(layout, shard)}`
    const sealed = shard.sealing === null ? '' : `, encrypted with key ${shard.sealing.keyId}`
    await output.line(`${plural(rowCount, 'row')} in ${plural(sizeBytes, 'byte')}${keys}${sealed}`)
    for (const { fileId, bytes } of entry?.references ?? []) {
      await output.line(`${plural(bytes, 'byte')} in ${valueFile(fileId)}`)
    }
    const lines = regions.map(r => [
      r.label,
      r.column?.name ?? r.kind,
      integer(r.offset),
      integer(r.sizeBytes),
      hex(r.checksum),
    ])
    for (const line of tableText(['region', '', '>offset', '>bytes', 'checksum'], lines)) await output.line(`  ${line}`)
  }
  const isHidden = shard.isLocked && rows > 0
  if (!isHidden) await showRows(shard, Math.min(rows, rowCount), json, output)
  if (!json) {
    if (isHidden) await output.line(`  rows are encrypted with key ${shard.sealing?.keyId}: give it in GNITZ_KEYS`)
    else if (rows > 0 && rows < rowCount) await output.line(`  … ${plural(rowCount - rows, 'row')} more`)
    await output.line('')
  }
}

async function showRows(shard: Shard, count: number, json: boolean, output: Output): Promise<void> {
  for (let from = 0; from < count; from += ROWS_AT_ONCE) {
    const batch = shard.readRows(from, Math.min(from + ROWS_AT_ONCE, count))
    for (let i = 0; i < batch.length; i++) {
      if (json) await output.json({ path: shard.path, ...jsonRow(batch, i) })
      else await output.line(`  ${rowText(batch, i)}`)
    }
  }
}
