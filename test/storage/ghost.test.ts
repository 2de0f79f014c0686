/**
 * The Ghost Property: rows of net weight zero cause no read of a column or of the blob. All reads go through an `Env`
 * that counts them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { CountingEnv } from '../../src/env/counting.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { HEADER_BYTES } from '../../src/storage/shard/format.js'
import { Storage, type TableOptions } from '../../src/storage/storage.js'
import { shardFile } from '../../src/storage/types.js'
import { Batch } from '../../src/zset/batch.js'
import { contents, runOf, schemaOf, type Weighted } from '../zset/support.js'

const root = mkdtempSync(join(tmpdir(), 'gnitz-ghost-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const layout = arrangedLayout(schemaOf('ghosts', 'id:u64', 'n:i64?', 'note:string'), [0])
const ROWS = 1000
const rows = (from: number, to: number, weight: bigint): Weighted[] =>
  Array.from({ length: to - from }, (_, n) => ({
    row: [BigInt(from + n), BigInt(n), `a note that lies in the blob, number ${from + n}`],
    weight,
  }))

/** Two shards: rows 0..1000 inserted, the first 900 retracted. */
async function twoShards(name: string, weights: TableOptions['weights']) {
  const env = new CountingEnv(new NodeEnv({ mapping: 'off' }))
  const directory = join(root, name)
  const open = () => Storage.open({ env, directory, kernelsOf: l => kernelsOf(l), durability: 'none', io: 'read' })
  let storage = await open()
  const table = storage.createTable(layout, { weights })
  await storage.commit([{ table, delta: runOf(layout, rows(0, ROWS, 1n)) }]).durable
  storage.checkpoint()
  await storage.commit([{ table, delta: runOf(layout, rows(0, 900, -1n)) }]).durable
  await storage.close()
  storage = await open()
  const paths = storage.tables[0].entries.map(e => join(directory, shardFile(e.fileId)))
  expect(paths).toHaveLength(2)
  env.reset()
  // Behind the keys and the weights, which are 8 bytes a row each, with the directory's padding.
  const columnBytes = (s: number) => {
    const count = s === 0 ? ROWS : 900
    const from = Math.ceil((HEADER_BYTES + 6 * 24) / 64) * 64 + Math.ceil((count * 8) / 64) * 128
    return env.bytesRead(paths[s], from, Number.MAX_SAFE_INTEGER)
  }
  return { storage, env, table: storage.tables[0], columnBytes, keyBytes: () => env.bytesRead() }
}

const probe = (id: number) => runOf(layout, rows(id, id + 1, 1n))

test('keys that sum to zero, and keys that are not there, are told by key and weight alone', async () => {
  const { storage, table, columnBytes, keyBytes } = await twoShards('never-negative', 'nonNegative')
  const out = new Batch(layout, 1)
  for (let id = 0; id < 900; id += 7) expect(table.get(probe(id), 0, out)).toBe(0)
  for (let id = ROWS; id < ROWS + 100; id++) expect(table.get(probe(id), 0, out)).toBe(0)
  expect(keyBytes()).toBeGreaterThan(ROWS * 16)
  expect([columnBytes(0), columnBytes(1)]).toEqual([0, 0])
  // A row that survives is read, from the shard it is in and from no other.
  expect(table.get(probe(950), 0, out)).toBe(1)
  expect(contents(out)).toEqual(
    rows(900, ROWS, 1n)
      .slice(50, 51)
      .map(r => ({ ...r, row: [950n, 950n, r.row[2]] })),
  )
  expect(columnBytes(0)).toBeGreaterThan(0)
  expect(columnBytes(1)).toBe(0)
  await storage.close({ checkpoint: false })
})

test('where weights may be negative, rows of a key are compared before they are taken for ghosts', async () => {
  const { storage, table, columnBytes } = await twoShards('any', 'any')
  const out = new Batch(layout, 1)
  expect(table.get(probe(1500), 0, out)).toBe(0)
  expect([columnBytes(0), columnBytes(1)]).toEqual([0, 0])
  expect(table.get(probe(5), 0, out)).toBe(0)
  expect(columnBytes(0)).toBeGreaterThan(0)
  await storage.close({ checkpoint: false })
})
