/** What a storage refuses, so that everything it acknowledges can be read back. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { FormatError, RowError, UsageError } from '../../src/base/errors.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { Storage, type StorageOptions, type TableOptions } from '../../src/storage/storage.js'
import type { Batch } from '../../src/zset/batch.js'
import { runOf, schemaOf, type Weighted } from '../zset/support.js'

const root = mkdtempSync(join(tmpdir(), 'gnitz-refusals-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directory = ''
let n = 0
beforeEach(() => {
  directory = join(root, `d${n++}`)
})

const layout = arrangedLayout(schemaOf('t', 'id:u64', 'ok:bool', 'at:time', 'note:string?'), [0])
const open = (more: Partial<StorageOptions> = {}) =>
  Storage.open({ env: new NodeEnv(), directory, kernelsOf: l => kernelsOf(l), ...more })

const LONG = 'a text that lies in the heap'
const rows: Weighted[] = [
  { row: [1n, true, 5n, 'short'], weight: 1n },
  { row: [2n, false, 6n, LONG], weight: 1n },
  { row: [3n, false, 7n, null], weight: 1n },
]
const column = (name: string) => layout.schema.columns.findIndex(c => c.name === name)

test.each<[string, (batch: Batch) => void, RegExp]>([
  ['a bool of 2', b => (b.columns[column('ok')][0] = 2), /column "ok", row 0: expected a bool, found 2/],
  ['a time of a day', b => (b.columns[column('at')][1] = 86_400_000_000n), /column "at", row 1: expected a time/],
  ['rest of a text', b => (b.lanes[column('note')][3] = 7), /column "note", row 0: expected zeros after a text/],
  ['an offset too far', b => (b.lanes[column('note')][6] = 99), /column "note", row 1: 28 bytes at byte 99/],
  ['a NULL that is not zero', b => (b.lanes[column('note')][8] = 3), /column "note", row 2: expected zeros/],
  ['an unused null bit', b => (b.nulls[0] |= 2n), /row 0: expected zeros in the null bits/],
  ['a weight of zero', b => (b.weights[2] = 0n), /row 2: expected a weight other than zero/],
  ['rows in no order', b => (b.keys[0] = 9n), /row 1: expected rows in order/],
  ['a row twice', b => kernelsOf(layout).copyRow(b, 1, b, 2), /found row 1 again/],
])('%s is refused with the row, and changes nothing', async (_, spoil, message) => {
  const storage = await open()
  const table = storage.createTable(layout)
  const bad = runOf(layout, rows)
  spoil(bad)
  expect(() => storage.commit([{ table, delta: bad }])).toThrow(RowError)
  expect(() => storage.commit([{ table, delta: bad }])).toThrow(message)
  await storage.commit([{ table, delta: runOf(layout, rows) }]).durable
  await storage.close({ checkpoint: false })
  const again = await open()
  expect(again.recovery).toMatchObject({ groups: 1, rows: 3, droppedBytes: 0 })
  await again.close()
})

test.each<[Record<string, unknown>, string]>([
  [{ directory: '' }, 'option directory: expected a path'],
  [{ directory: undefined }, 'option directory: expected a path, found undefined'],
  [{ durability: 'sync' }, 'expected "commit" or "interval" or "none", found the string "sync"'],
  [{ io: 'mmap' }, 'option io'],
  [{ windowRows: 0 }, 'option windowRows: expected a positive integer, found 0'],
  [{ memTableBytes: -1 }, 'option memTableBytes'],
  [{ walBytes: Number.NaN }, 'option walBytes'],
])('option %j', async (options, message) => {
  await expect(open(options as Partial<StorageOptions>)).rejects.toThrow(UsageError)
  await expect(open(options as Partial<StorageOptions>)).rejects.toThrow(message)
})

test('options of a table that do not exist, and a table that is there in another form', async () => {
  const storage = await open()
  for (const wrong of [{ policy: 'levelled' }, { weights: 'nonnegative' }, { kind: 'persistent' }]) {
    expect(() => storage.createTable(layout, wrong as unknown as TableOptions)).toThrow(UsageError)
  }
  const table = storage.createTable(layout)
  expect(storage.createTable(layout)).toBe(table)
  const swapped = arrangedLayout(schemaOf('t', 'id:u64', 'at:bool', 'ok:time', 'note:string?'), [0])
  expect(() => storage.createTable(swapped)).toThrow(FormatError)
  expect(() => storage.createTable(layout, { policy: 'read-heavy' })).toThrow(
    /expected .*read-heavy.*found .*write-heavy/,
  )
  expect(() => storage.createTable(layout, { kind: 'ephemeral' })).toThrow(FormatError)
  await storage.close()
  expect((await open().then(s => s.close())) ?? 'opens again').toBe('opens again')
})

test('a closed or dropped table says so, and a listener that throws does no harm', async () => {
  const storage = await open({
    onEvent: () => {
      throw new Error('of the listener')
    },
    memTableBytes: 4096,
  })
  const table = storage.createTable(layout)
  const other = storage.createTable(arrangedLayout(schemaOf('other', 'id:u64'), [0]))
  await storage.commit([{ table, delta: runOf(layout, rows) }]).durable
  storage.checkpoint()
  storage.dropTable(other)
  expect(() => other.snapshot()).toThrow('table "other" was closed or dropped')
  expect(storage.snapshot().get(table)?.lsn).toBe(storage.lsn)
  await storage.close()
  expect(() => table.cursor()).toThrow(UsageError)
  const again = await open()
  expect(again.tables[0].snapshot().lsn).toBe(1n)
  await again.close()
})

test('the directory stays where it was when the process goes elsewhere', () => {
  expect(new NodeEnv().resolve('data')).toBe(join(process.cwd(), 'data'))
})
