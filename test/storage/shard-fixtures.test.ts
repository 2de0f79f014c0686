/**
 * The files under fixtures/format: written once and never again, so that they show whether the format has changed.
 * Three things must agree on each: the text beside it, our reader, and a script that knows only the documentation.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { loadChecksum, useChecksum } from '../../src/base/checksum.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import type { TypeName, Value } from '../../src/schema/types.js'
import { Shard } from '../../src/storage/shard/reader.js'
import { verifyShard } from '../../src/storage/shard/verify.js'
import type { ShardSummary } from '../../src/storage/types.js'
import type { Batch } from '../../src/zset/batch.js'
import { contents, schemaOf } from '../zset/support.js'
import { IOS, shardBytes } from './shard-support.js'

beforeAll(loadChecksum)

const DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), '../../fixtures/format')
const FILES = readdirSync(DIRECTORY).filter(name => /^shard-.*\.gnz$/.test(name))

interface Description {
  readonly tableId: number
  readonly summary: { readonly [K in keyof ShardSummary]: ShardSummary[K] | string }
  readonly table: {
    readonly name: string
    readonly columns: readonly { readonly name: string; readonly type: TypeName; readonly nullable: boolean }[]
    readonly key: readonly string[]
    readonly order: readonly { readonly column: string; readonly descending: boolean }[]
  }
}

const text = (file: string, extension: string) => readFileSync(join(DIRECTORY, file.replace('.gnz', extension)), 'utf8')

function describeFile(file: string): { tableId: number; layout: Layout; summary: ShardSummary } {
  const { tableId, summary, table } = JSON.parse(text(file, '.json')) as Description
  const { name, columns, key, order } = table
  const schema = schemaOf(name, ...columns.map(c => `${c.name}:${c.type}${c.nullable ? '?' : ''}`))
  const index = (column: string) => columns.findIndex(c => c.name === column)
  const layout = arrangedLayout(
    schema,
    key.map(index),
    order.map(o => ({ index: index(o.column), descending: o.descending })),
  )
  const { rowCount, sizeBytes, minKey, maxKey, checksum } = summary
  return {
    tableId,
    layout,
    summary: {
      rowCount: Number(rowCount),
      sizeBytes: Number(sizeBytes),
      minKey: BigInt(minKey),
      maxKey: BigInt(maxKey),
      checksum: BigInt(checksum),
    },
  }
}

function show(value: Value): string {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function linesOf(batch: Batch): string[] {
  return contents(batch).map(({ row, weight }) => `${weight > 0n ? '+' : ''}${weight} (${row.map(show).join(', ')})`)
}

test('there are files', () => {
  expect(FILES.length).toBeGreaterThanOrEqual(13)
})

describe.each(FILES)('%s', file => {
  const expected = text(file, '.txt').split('\n').slice(0, -1)

  test.each(IOS)('is read as its text says: %s', io => {
    const { tableId, layout, summary } = describeFile(file)
    const shard = Shard.open(new NodeEnv(), join(DIRECTORY, file), tableId, layout, summary, io)
    expect(linesOf(shard.rows())).toEqual(expected)
    verifyShard(shard)
    shard.release()
  })

  test('is what is written today', () => {
    const { tableId, layout, summary } = describeFile(file)
    const shard = Shard.open(new NodeEnv(), join(DIRECTORY, file), tableId, layout, null, 'read')
    const written = shardBytes(shard.rows(), tableId)
    expect(Buffer.from(written.bytes).equals(readFileSync(join(DIRECTORY, file)))).toBe(true)
    expect(written.summary).toEqual(summary)
    shard.release()
  })

  test('has keys that are computed the same way today', () => {
    const { tableId, layout } = describeFile(file)
    const shard = Shard.open(new NodeEnv(), join(DIRECTORY, file), tableId, layout, null, 'read')
    const rows = shard.rows()
    const lanes = layout.key.words * 2
    contents(rows).forEach(({ row }, i) => {
      expect([...rows.keys32.subarray(i * lanes, (i + 1) * lanes)]).toEqual(keyLanesOf(layout, row))
    })
    shard.release()
  })
})

test('a reader that shares no code with ours reads the same', () => {
  const paths = FILES.map(file => join(DIRECTORY, file))
  const printed = execFileSync(process.execPath, [join(DIRECTORY, 'read.mjs'), ...paths], { encoding: 'utf8' })
  expect(printed).toBe(FILES.map(file => `# ${file}\n${text(file, '.txt')}`).join(''))
})

test('checksums are those of the portable library', async () => {
  await useChecksum('wasm')
  for (const file of FILES) {
    const { tableId, layout, summary } = describeFile(file)
    const shard = Shard.open(new NodeEnv(), join(DIRECTORY, file), tableId, layout, summary, 'read')
    verifyShard(shard)
    shard.release()
  }
})

test('the example in FORMAT.md is the file', () => {
  const document = readFileSync(join(DIRECTORY, '../../src/storage/FORMAT.md'), 'utf8')
  const block = /<!-- hex: fixtures\/format\/shard-example.gnz -->\n+```\n([\s\S]*?)```/.exec(document)?.[1] ?? ''
  const file = readFileSync(join(DIRECTORY, 'shard-example.gnz'))
  const shown = Buffer.alloc(file.length)
  for (const line of block.trimEnd().split('\n')) {
    const bytes = line.slice(6, 53).trim()
    if (bytes.startsWith('(zeros)')) continue
    Buffer.from(bytes.replaceAll(' ', ''), 'hex').copy(shown, Number.parseInt(line.slice(0, 4), 16))
  }
  expect(shown.toString('hex')).toBe(file.toString('hex'))
  expect(document).toContain(describeFile('shard-example.gnz').summary.checksum.toString(16))
})
