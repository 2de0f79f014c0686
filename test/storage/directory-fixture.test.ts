/**
 * fixtures/format/directory*: whole directories, written once and never again. The text beside each, our readers, and a
 * script that knows only the documentation must agree on it; and what we write today must be the same.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { loadChecksum } from '../../src/base/checksum.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { staticKeys } from '../../src/storage/crypt/keys.js'
import { encodeManifest } from '../../src/storage/manifest/format.js'
import { readManifest } from '../../src/storage/manifest/manifest.js'
import { Storage } from '../../src/storage/storage.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { contents, MODES, schemaOf, sumOf } from '../zset/support.js'

beforeAll(loadChecksum)

const FORMAT = fileURLToPath(new URL('../../fixtures/format', import.meta.url))
const DIRECTORY = join(FORMAT, 'directory')
const DIRECTORIES = [DIRECTORY, join(FORMAT, 'directory-2'), join(FORMAT, 'directory-3'), join(FORMAT, 'directory-4')]
const at = 981_173_106_000_000n

/** What the shards and the log come to. */
const ROWS = {
  people: [
    [1n, [1n, 'Ann Veronica Stanley']],
    [1n, [2n, 'Charlotte Bronte']],
    [1n, [3n, 'Émile']],
    [1n, [258n, null]],
  ],
  visits: [
    [2n, ['/', at + 60_000_000n, false]],
    [1n, ['/a page with a long name', at + 120_000_000n, true]],
    [1n, ['/a page with a long name', at + 300_000_000n, false]],
    [1n, ['/about', at + 180_000_000n, false]],
    [1n, ['/about', at + 240_000_000n, true]],
  ],
} as const

test.each(DIRECTORIES)('a reader that shares no code with ours reads what the text says: %s', directory => {
  const printed = execFileSync(process.execPath, [join(FORMAT, 'read.mjs'), directory], { encoding: 'utf8' })
  expect(printed).toBe(readFileSync(`${directory}.txt`, 'utf8'))
})

test.each(MODES)('it is sound, and has the rows it was given: %s kernels', async mode => {
  const env = new NodeEnv()
  const options = { env, kernelsOf: (layout: Parameters<typeof kernelsOf>[0]) => kernelsOf(layout, mode) }
  const found = await verifyDirectory({ ...options, directory: DIRECTORY })
  expect(found).toMatchObject({ faults: [], notes: [], lsn: 6n, log: { blocks: 6, transactions: 3, rowCount: 6 } })
  const copy = mkdtempSync(join(tmpdir(), 'gnitz-directory-'))
  try {
    cpSync(DIRECTORY, copy, { recursive: true })
    const storage = await Storage.open({ ...options, directory: copy })
    expect(storage.recovery).toMatchObject({ lsn: 6n, groups: 3, rows: 6, droppedBytes: 0 })
    for (const [name, rows] of Object.entries(ROWS)) {
      const snapshot = storage.table(name)?.snapshot()
      const expected = rows.map(([weight, row]) => ({ weight, row }))
      expect(sumOf(...(snapshot?.runs() ?? []).map(contents))).toEqual(sumOf(expected))
      snapshot?.release()
    }
    await storage.close()
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})

test.each([DIRECTORIES[2], DIRECTORIES[3]])('its values are those of the value log: %s', async directory => {
  const encryption = directory === DIRECTORIES[3] ? staticKeys({ id: 1, key: new Uint8Array(32).fill(1) }) : undefined
  const kernels = (layout: Parameters<typeof kernelsOf>[0]) => kernelsOf(layout)
  const options = { env: new NodeEnv(), kernelsOf: kernels, encryption }
  const copy = mkdtempSync(join(tmpdir(), 'gnitz-directory-'))
  const text = (n: number) => `My dear Cassandra, I have now attained the true art of letter-writing, ${n}.`
  const seal = Uint8Array.from({ length: 100 }, (_, n) => n)
  try {
    cpSync(directory, copy, { recursive: true })
    const found = await verifyDirectory({ ...options, directory: copy })
    expect(found).toMatchObject({ faults: [], notes: [], values: { files: 1, records: 6, sizeBytes: 28_672 } })
    const storage = await Storage.open({ ...options, directory: copy })
    const snapshot = storage.table('letters')?.snapshot()
    const rows = [
      [1n, 'short', seal],
      [2n, text(4), seal],
      [3n, text(3), null],
      [5n, text(5), null],
    ] as const
    const expected = rows.map(row => ({ row, weight: row[0] === 3n ? 2n : 1n }))
    // The retracted row is in two shards, each with a record of its own.
    const sums = sumOf(...(snapshot?.runs() ?? []).map(contents))
    for (const [row, weight] of sums) if (weight === 0n) sums.delete(row)
    expect(sums).toEqual(sumOf(expected))
    snapshot?.release()
    await storage.close()
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})

test('the end of the log is in the manifest: without its last transaction it is refused', async () => {
  const options = { env: new NodeEnv(), kernelsOf: (layout: Parameters<typeof kernelsOf>[0]) => kernelsOf(layout) }
  const copy = mkdtempSync(join(tmpdir(), 'gnitz-directory-'))
  const log = join(copy, 'wal-0000000000000002.log')
  try {
    cpSync(DIRECTORIES[1], copy, { recursive: true })
    const found = await verifyDirectory({ ...options, directory: copy })
    expect(found).toMatchObject({ faults: [], notes: [], lsn: 3n, log: { transactions: 2, rowCount: 3 } })
    truncateSync(log, 284 - 72)
    const short = { file: log, offset: 284 - 72 }
    expect((await verifyDirectory({ ...options, directory: copy })).faults).toMatchObject([short])
    const known = 'the manifest says that it goes on to transaction 3, up to byte 284'
    await expect(Storage.open({ ...options, directory: copy })).rejects.toThrow(`byte 212: it ends here; ${known}`)
    rmSync(log)
    expect((await verifyDirectory({ ...options, directory: copy })).faults).toMatchObject([{ file: log, offset: 0 }])
    await expect(Storage.open({ ...options, directory: copy })).rejects.toThrow(`byte 0: it is missing; ${known}`)
    cpSync(DIRECTORIES[1], copy, { recursive: true })
    const storage = await Storage.open({ ...options, directory: copy })
    expect(storage.recovery).toMatchObject({ lsn: 3n, groups: 2, rows: 3 })
    // The number of the table that was dropped is not used again.
    const layout = arrangedLayout(schemaOf('gone', 'id:u64'), [0])
    expect(storage.createTable(layout).tableId).toBe(3)
    await storage.close()
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})

test.each(DIRECTORIES)('its manifest is what is written today: %s', directory => {
  const manifest = readManifest(new NodeEnv(), directory)
  const written = Buffer.from(manifest === null ? [] : encodeManifest(manifest))
  expect(written.toString('hex')).toBe(readFileSync(join(directory, 'MANIFEST')).toString('hex'))
})

test.each(['directory', 'directory-2'])('the example in FORMAT.md is the manifest of %s', name => {
  const document = readFileSync(fileURLToPath(new URL('../../src/storage/FORMAT.md', import.meta.url)), 'utf8')
  const after = document.split(`<!-- hex: fixtures/format/${name}/MANIFEST -->`)[1]
  const block = /```\n([\s\S]*?)```/.exec(after)?.[1] ?? ''
  const parts = block
    .trimEnd()
    .split('\n')
    .map(line => {
      const bytes =
        line[6] === '|' ? Buffer.from(line.slice(7)) : Buffer.from(line.slice(6, 53).replaceAll(' ', ''), 'hex')
      return { at: Number.parseInt(line.slice(0, 4), 16), bytes }
    })
  let end = 0
  for (const part of parts) {
    expect(part.at).toBe(end)
    end += part.bytes.length
  }
  const shown = Buffer.concat(parts.map(p => p.bytes)).toString('hex')
  // Of the second one the header is enough.
  expect(end).toBeGreaterThanOrEqual(96)
  expect(
    readFileSync(join(FORMAT, name, 'MANIFEST'))
      .toString('hex')
      .startsWith(shown),
  ).toBe(true)
})
