/** `gnitz amplification`: how many shards a reader must look into, over the range of keys. */
import { AMPLIFICATION_THRESHOLD, type KeyRange, keyRanges } from '../../storage/manifest/registry.js'
import type { TableEntry } from '../../storage/types.js'
import type { Output } from '../terminal.js'
import { type Command, readArguments } from './command.js'
import { Source } from './source.js'
import { keyText, plural, tableText } from './text.js'

const usage = `Usage: gnitz amplification DIR [--table NAME] [--threshold N] [--json]

Shows for each range of keys how many shards overlap there, which is what a look-up has to search.

  --table NAME   only this table
  --threshold N  more than this calls for compaction (default: ${AMPLIFICATION_THRESHOLD})
  --json         one JSON value`

/** Ranges beside each other are drawn as one beyond this. */
const MAX_LINES = 40
const MAX_BAR = 40

export const amplification: Command = {
  name: 'amplification',
  summary: ['amplification DIR', 'shards that overlap, by range of keys'],
  usage,
  async run(args, output) {
    const given = readArguments(amplification, args, { table: { type: 'string' }, threshold: { type: 'string' } })
    const threshold = given.count('threshold', AMPLIFICATION_THRESHOLD)
    const source = await Source.open(given.paths[0])
    const tables = source.tables(given.text('table'))
    if (given.json) await output.json({ threshold, tables: tables.map(table => toJson(source, table)) })
    else for (const table of tables) await draw(source, table, threshold, output)
    return 0
  },
}

const deepest = (ranges: readonly KeyRange[]) => ranges.reduce((most, r) => Math.max(most, r.depth), 0)

function toJson(source: Source, { tableId, descriptor }: TableEntry): object {
  const ranges = keyRanges(source.shardsOf(tableId))
  return { tableId, table: descriptor.name, amplification: deepest(ranges), ranges }
}

async function draw(source: Source, table: TableEntry, threshold: number, output: Output): Promise<void> {
  const { tableId, descriptor } = table
  const { layout } = source.kernelsFor(table)
  const shards = source.shardsOf(tableId)
  const ranges = keyRanges(shards)
  const most = deepest(ranges)
  const state = most > threshold ? `, above the threshold of ${threshold}` : ''
  await output.line(`${descriptor.name}: ${plural(shards.length, 'shard')}, at most ${most} on one key${state}`)
  const scale = Math.min(1, MAX_BAR / Math.max(most, 1))
  const rows = joined(ranges).map(({ from, to, depth }) => {
    const bar = '█'.repeat(Math.max(1, Math.round(depth * scale)))
    return [
      keyText(layout, from),
      from === to ? '' : keyText(layout, to),
      `${bar} ${depth}${depth > threshold ? ' !' : ''}`,
    ]
  })
  if (rows.length > 0) for (const line of tableText(['from', 'to', 'shards'], rows)) await output.line(`  ${line}`)
}

/** As many ranges as can be drawn; one that stands for several has the depth of the deepest. */
function joined(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const each = Math.ceil(ranges.length / MAX_LINES)
  if (each <= 1) return ranges
  const lines: KeyRange[] = []
  for (let at = 0; at < ranges.length; at += each) {
    const group = ranges.slice(at, at + each)
    lines.push({ from: group[0].from, to: group[group.length - 1].to, depth: deepest(group) })
  }
  return lines
}
