/** The format of the log: files of long ago, read by us and by a reader that knows only the description. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { loadChecksum } from '../../src/base/checksum.js'
import { NodeEnv } from '../../src/env/node.js'
import { scanSegment } from '../../src/storage/wal/scan.js'
import { readGroups } from '../../src/storage/wal/tail.js'
import { contents, type Weighted } from '../zset/support.js'
import { FIRST_VERSION, FIXTURES, FORMAT_FOLDER, fixtureTables, writeFixture } from './wal-fixtures.js'

beforeAll(() => loadChecksum())

const folder = fileURLToPath(FORMAT_FOLDER)
const names = [...FIRST_VERSION, ...Object.keys(FIXTURES)]
const expected = readFileSync(join(folder, 'wal.txt'), 'utf8') + readFileSync(join(folder, 'wal2.txt'), 'utf8')
const segmentsOf = (dir: string) => readdirSync(dir).filter(name => name.endsWith('.log'))

function rowText({ row, weight }: Weighted): string {
  const cells = row.map(value => {
    if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  })
  return `${weight > 0n ? '+' : ''}${weight} (${cells.join(', ')})`
}

/** The listing of a log, by our reader. */
function listing(name: string): string[] {
  const dir = join(folder, name)
  const env = new NodeEnv()
  const groups = new Map([...readGroups({ env, dir, tableOf: fixtureTables, after: 0n })].map(g => [g.lsn, g]))
  const lines: string[] = []
  for (const segment of segmentsOf(dir)) {
    lines.push(`# ${name}/${segment}`)
    for (const block of scanSegment(env, join(dir, segment))) {
      // A mark belongs to no transaction, and a note of one that is torn is not shown.
      if (block.kind !== 'block' || (!groups.has(block.lsn) && (block.tableId !== 0 || block.more))) continue
      const flags = `${block.more ? ' more' : ''}${block.synced ? ' synced' : ''}`
      const { lsn, tableId, entryCount, sizeBytes } = block
      const time = block.note?.time ?? null
      const when = time === null ? '' : `, time ${time}`
      lines.push(`block ${lsn} of table ${tableId}, ${entryCount} entries, ${sizeBytes} bytes${flags}${when}`)
      const part = groups.get(lsn)?.parts.find(p => p.tableId === tableId)
      if (part !== undefined) lines.push(...contents(part.batch).map(rowText))
    }
  }
  return lines
}

test('the reader that knows only the description sees what was written', () => {
  const script = join(folder, 'read-wal.mjs')
  const out = execFileSync(process.execPath, [script, ...names.map(name => join(folder, name))], { encoding: 'utf8' })
  expect(out).toBe(expected)
})

test('our reader sees the same', () => {
  const lines = names.flatMap(listing)
  expect(lines).toEqual(
    expected
      .trim()
      .split('\n')
      .filter(line => !line.startsWith('# torn')),
  )
})

test.each(Object.keys(FIXTURES))('%s is written the same today', async name => {
  const dir = mkdtempSync(join(tmpdir(), 'gnitz-wal-format-'))
  try {
    await writeFixture(name, dir)
    expect(segmentsOf(dir)).toEqual(segmentsOf(join(folder, name)))
    for (const segment of segmentsOf(dir)) {
      const found = readFileSync(join(dir, segment)).toString('hex')
      expect(found).toBe(readFileSync(join(folder, name, segment)).toString('hex'))
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('the example in the description is the file', () => {
  const text = readFileSync(new URL('../../src/storage/FORMAT.md', import.meta.url), 'utf8')
  const [, example] = /```hex\n([\s\S]*?)```/.exec(text) ?? []
  const bytes = [...example.matchAll(/^[0-9a-f]{4} {2}((?:[0-9a-f]{2} ?)+)/gm)].map(([, hex]) =>
    hex.replaceAll(' ', ''),
  )
  const file = readFileSync(join(folder, 'wal2-long', 'wal-0000000000000001.log'))
  expect(bytes.join('')).toBe(file.toString('hex', 0, 0x178 - 1))
})
