/** What goes wrong around a durable database: each time an error that says what to do, and nothing lost. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { count, i64, open, sum, table, u32, udf, view } from '../../src/index.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { NodeEnv, Storage, staticKeys } from '../../src/storage/index.js'
import type { Tree } from '../../src/storage/tree.js'
import { Batch } from '../../src/zset/batch.js'

const sales = table('sales', { id: u32().primaryKey(), shop: u32(), amount: i64() })
const totals = view('totals', q =>
  q
    .from(sales)
    .groupBy(s => ({ shop: s.shop }))
    .aggregate({ sales: count(), total: sum(s => s.amount) }),
)
const sale = (id: number) => ({ id, shop: 1, amount: 10 * id })

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gnitz-faults-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

it('a subscriber that throws stops neither the commit nor the other subscribers', async () => {
  const db = await open(directory)
  const handle = db.createView(totals)
  const seen: number[] = []
  const end = handle.subscribe(() => {
    throw new Error('mine')
  })
  handle.subscribe(({ changes }) => seen.push(changes.length))
  expect(() => db.insert(sales, sale(1))).toThrow('mine')
  end()
  await db.insert(sales, sale(2))
  expect(seen).toEqual([1, 2])
  await db.close()
  const again = await open(directory)
  expect(again.view(totals).rows()).toEqual([{ shop: 1, sales: 2n, total: 30n }])
  await again.close()
})

it('a row that a view cannot compute is data, and still is after a restart', async () => {
  const ratios = view('ratios', q => q.from(sales).map(s => ({ id: s.id, ratio: 100n / s.amount })))
  const db = await open(directory)
  db.createView(ratios)
  await db.insert(sales, [sale(1), { id: 2, shop: 1, amount: 0 }])
  const failed = db.view(ratios).errors()
  expect(failed).toHaveLength(1)
  await db.close()
  const again = await open(directory)
  expect(again.view(ratios).errors()).toEqual(failed)
  await again.delete(sales, { id: 2, shop: 1, amount: 0 })
  expect(again.view(ratios).errors()).toEqual([])
  await again.close()
})

it('a group that has no sum is named, also after a restart', async () => {
  const db = await open(directory)
  db.createView(totals)
  const huge = [3, 4].map(id => ({ id, shop: 7, amount: 2n ** 62n }))
  await db.insert(sales, [sale(1), ...huge])
  const failed = db.view(totals).errors()
  expect(failed).toMatchObject([{ weight: 1n, message: expect.stringContaining('overflow'), row: { shop: 7 } }])
  await db.close()
  const again = await open(directory)
  expect(again.view(totals).errors()).toEqual(failed)
  await again.delete(sales, huge[0])
  expect(again.view(totals).errors()).toEqual([])
  expect(again.view(totals).get(7)).toEqual({ shop: 7, sales: 1n, total: 2n ** 62n })
  await again.close()
})

it('a function of the user that throws in a view is data, too', async () => {
  const twice = udf('twice', [i64()], i64(), (x: bigint) => {
    if (x === 20n) throw new Error('not twenty')
    return 2n * x
  })
  const doubled = view('doubled', q =>
    q.from(sales).map((s, { twice }) => ({ id: s.id, twice: twice(s.amount) }), { twice }),
  )
  const db = await open(directory, { udfs: [twice] })
  db.createView(doubled)
  await db.insert(sales, [sale(1), sale(2)])
  await db.close()
  const again = await open(directory, { udfs: [twice] })
  expect(again.view(doubled).errors()).toMatchObject([{ message: expect.stringContaining('not twenty') }])
  expect(() => again.view(doubled).rows()).toThrow('holds failed rows')
  again.delete(sales, sale(2))
  expect(again.view(doubled).rows()).toEqual([{ id: 1, twice: 20n }])
  await again.close()
})

it('keys that are missing or wrong are named, and the directory opens with the right one afterwards', async () => {
  const key = { id: 7, key: new Uint8Array(32).fill(1) }
  const db = await open(directory, { encryption: staticKeys(key) })
  db.createTable(sales)
  await db.insert(sales, sale(1))
  await db.close()
  const wrong = staticKeys({ id: 7, key: new Uint8Array(32).fill(2) })
  await expect(open(directory)).rejects.toThrow(/encrypted with key 7; give option encryption/)
  await expect(open(directory, { encryption: wrong })).rejects.toThrow(/key 7 is not the one/)
  const other = staticKeys({ id: 8, key: key.key })
  await expect(open(directory, { encryption: other })).rejects.toThrow(/key 7.* is missing/)
  const again = await open(directory, { encryption: staticKeys(key) })
  expect(again.table(sales).rows()).toHaveLength(1)
  await again.close()
})

it('a directory that another process has open is refused by its pid, until that process is gone', async () => {
  const script = join(directory, '..', `${directory.split('/').at(-1)}.mjs`)
  const index = new URL('../../dist/src/index.js', import.meta.url).pathname
  writeFileSync(
    script,
    `const { open } = await import(${JSON.stringify(index)})
     await open(${JSON.stringify(directory)})
     process.send('open')
     setInterval(() => {}, 1000)`,
  )
  const holder = fork(script)
  try {
    await once(holder, 'message')
    await expect(open(directory)).rejects.toThrow(String(holder.pid))
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    await (await open(directory)).close()
  } finally {
    holder.kill('SIGKILL')
    rmSync(script)
  }
})

it('a directory of a newer version is refused, and left as it was', async () => {
  const db = await open(directory)
  db.createTable(sales)
  await db.insert(sales, sale(1))
  await db.close()
  const path = join(directory, 'MANIFEST')
  const manifest = readFileSync(path)
  const newer = Buffer.from(manifest)
  newer.writeBigUInt64LE(99n, 8)
  writeFileSync(path, newer)
  const files = readdirSync(directory, { recursive: true }).length
  await expect(open(directory)).rejects.toThrow(/MANIFEST.*expected manifest version 1 to \d+, found version 99/)
  expect(readdirSync(directory, { recursive: true })).toHaveLength(files)
  writeFileSync(path, manifest)
  const again = await open(directory)
  expect(again.table(sales).rows()).toHaveLength(1)
  await again.close()
})

it('a directory of gnitz/storage is refused, and so are tables of it beside those of a database', async () => {
  const layout = arrangedLayout(sales.schema, [0])
  const raw = () => Storage.open({ env: new NodeEnv(), directory, kernelsOf })
  const add = async (storage: Storage, name: string) => {
    const mine = storage.createTable({ ...layout, schema: { ...layout.schema, name } })
    const delta = new Batch(mine.layout, 1)
    delta.length = 1
    delta.weights[0] = 1n
    delta.order = 'consolidated'
    await storage.commit([{ table: mine, delta }]).durable
  }
  for (const checkpoint of [false, true]) {
    const storage = await raw()
    await add(storage, 'mine')
    await storage.close({ checkpoint })
    await expect(open(directory)).rejects.toThrow(/table "mine" is in no catalog: it was made with gnitz\/storage/)
  }
  const there = await raw()
  expect(there.table('mine')?.stats().rowCount).toBe(1)
  there.dropTable(there.table('mine') as Tree)
  await there.close()

  const db = await open(directory)
  db.createTable(sales)
  await db.close()
  const again = await raw()
  await add(again, 'beside')
  await again.close()
  await expect(open(directory)).rejects.toThrow(/table "beside" is in no catalog/)
})
