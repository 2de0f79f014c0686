/** Databases that are only read: beside their writer, from a copy, and by `gnitz check`. */
import { createHash } from 'node:crypto'
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cli } from '../../src/cli/cli.js'
import { NodeEnv } from '../../src/env/node.js'
import { count, type Database, i64, open, string, sum, table, u32, view } from '../../src/index.js'
import { expectError, expectExact, snapshot as stateOf } from '../engine/support.js'

const items = table('items', { id: u32().primaryKey(), kind: string(), n: i64(), text: string() })
const perKind = view('perKind', q =>
  q
    .from(items)
    .groupBy(i => ({ kind: i.kind }))
    .aggregate({ n: count(), total: sum(i => i.n) }),
)
const notes = table('notes', { id: u32().primaryKey(), text: string() })
const many = view('many', q => q.from(perKind).filter(k => k.n > 3n))
const item = (id: number) => ({
  id,
  kind: 'abc'[id % 3],
  n: BigInt(id),
  text: `${id} `.repeat(id % 4 === 0 ? 2000 : 1),
})
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => item(from + i))

/** Every name and byte in a directory. */
function hashOf(directory: string): string {
  const hash = createHash('sha256')
  for (const name of readdirSync(directory).sort()) hash.update(name).update(readFileSync(join(directory, name)))
  return hash.digest('hex')
}

/** An environment in which nothing can be written, made, renamed or removed. */
function readingEnv(): NodeEnv {
  const refuse = () => {
    throw new Error('a reader changes nothing')
  }
  const env = Object.assign(new NodeEnv(), { lock: refuse, remove: refuse, rename: refuse, makeDirectory: refuse })
  const opens = env.open.bind(env)
  return Object.assign(env, {
    open: (path: string, mode: 'read' | 'write') => (mode === 'read' ? opens(path, mode) : refuse()),
    syncDirectory: refuse,
  })
}

describe('a database that is only read', () => {
  let root: string
  let directory: string
  let writer: Database

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'gnitz-read-'))
    directory = join(root, 'db')
    writer = await open(directory, { durability: 'none', checkpointMs: Number.POSITIVE_INFINITY })
    writer.createView(perKind)
    writer.createIndex(items, 'byN', { on: ['n'] })
    writer.createTable(notes)
    writer.insert(notes, { id: 1, text: 'a' })
    writer.insert(items, range(0, 10))
    writer.checkpoint()
    // Definitions of the tail: what they make has no state in the directory yet.
    writer.insert(items, range(10, 20))
    writer.alterTable(notes, { add: { paid: i64().default(7n) } })
    writer.createView(many)
    writer.deleteKey(items, 3)
    writer.durability?.sync()
  })

  afterAll(async () => {
    await writer.close()
    rmSync(root, { recursive: true, force: true })
  })

  it('shows what its writer has, changes nothing, and stays as it is', async () => {
    const before = hashOf(directory)
    const reader = await open(directory, { env: readingEnv(), readOnly: true })
    const state = stateOf(writer)
    expect([reader.lsn, stateOf(reader)]).toEqual([writer.lsn, state])
    expectExact(reader)
    const own = reader.createView(perKind)
    expect(reader.table('items').index('byN').find(5n)).toEqual([item(5)])
    expect(reader.table('notes').rows()).toEqual([{ id: 1, text: 'a', paid: 7n }])
    expect(reader.metrics()).toContain(`gnitz_lsn ${writer.lsn}\n`)
    const tx = reader.begin()
    expect(tx.get(own, 'a')?.n).toBe(6n)
    expect(tx.commit()).toMatchObject({ lsn: writer.lsn })
    const refused = `${directory} was opened to be read only`
    for (const change of [
      () => reader.insert(items, item(1)),
      () => reader.begin().insert(items, item(1)),
      () => reader.createTable(table('other', { id: u32() })),
      () => reader.createView(view('other', q => q.from(perKind))),
      () => reader.dropView('many'),
      () => reader.alterTable(items, { name: 'things' }),
      () => reader.renameView('many', 'few'),
      () => reader.createIndex(items, 'second', { on: ['id'] }),
      () => reader.advance(5),
      () => reader.checkpoint(),
      () => own.subscribe(() => {}, { name: 'board' }),
      () => reader.kv('settings', { key: 'string', value: 'json' }),
    ]) {
      expectError(change, 'USAGE', refused)
    }
    expectError(() => reader.snapshotAt(1), 'USAGE', 'is not kept')
    expect(hashOf(directory)).toBe(before)
    // Files that its writer replaces stay readable, values in their logs as well.
    writer.upsert(
      items,
      range(0, 20).map(i => ({ ...i, text: 'short' })),
    )
    writer.checkpoint()
    writer.durability?.storage.compact()
    writer.checkpoint()
    expect(stateOf(reader)).toEqual(state)
    await reader.close()
    expectError(() => reader.begin(), 'USAGE', 'closed')
  })

  it('begins anew where its writer has moved on before all files were open', async () => {
    const openWith = async (onMap: () => void) => {
      const env = readingEnv()
      const map = env.map.bind(env)
      env.map = path => {
        onMap()
        return map(path)
      }
      const reader = await open(directory, { env, readOnly: true })
      expect(stateOf(reader)).toEqual(stateOf(writer))
      await reader.close()
    }
    // While the storage opens its files, and when the database has begun to use them.
    for (const part of [0.1, 0.6]) {
      let all = 0
      await openWith(() => all++)
      let maps = 0
      await openWith(() => {
        if (maps++ !== Math.floor(all * part)) return
        for (let n = 0; n < 5; n++) {
          writer.insert(items, item(100 + part * 100 + n))
          writer.checkpoint()
        }
        writer.durability?.storage.compact()
        writer.checkpoint()
      })
      expect(maps).toBeGreaterThan(all)
    }
  })

  it('begins anew where the log that it reads goes meanwhile, and applies nothing twice', async () => {
    const path = join(root, 'pruned')
    const other = await open(path, { retain: 0, checkpointMs: Number.POSITIVE_INFINITY })
    other.createView(perKind)
    other.checkpoint()
    await other.insert(items, item(1))
    const env = readingEnv()
    const list = env.list.bind(env)
    let lists = 0
    // The second time is at the end of the first segment, when its transactions have been read.
    env.list = directory => {
      if (++lists === 2) {
        for (let n = 2; n < 4; n++) {
          other.checkpoint()
          other.insert(items, item(n))
          other.durability?.sync()
        }
      }
      return list(directory)
    }
    const reader = await open(path, { env, readOnly: true })
    expect(lists).toBeGreaterThan(3)
    expect([reader.lsn, stateOf(reader)]).toEqual([other.lsn, stateOf(other)])
    await reader.close()
    await other.close()
  })

  it('is what check looks at', async () => {
    writer.insert(items, range(200, 202))
    writer.durability?.sync()
    const check = async (path: string) => {
      let out = ''
      const write = (text: string) => {
        out += text
      }
      const code = await cli(['check', path], { out: write, err: write })
      return { code, out }
    }
    const before = hashOf(directory)
    const { code, out } = await check(directory)
    expect([code, hashOf(directory)]).toEqual([0, before])
    const { lsn } = writer
    expect(out).toContain(
      `log: 1 transaction (2 rows) after the checkpoint of transaction ${lsn - 1n}, applied in memory\n`,
    )
    expect(out).toContain(`transaction ${lsn}; checked 2 tables, 2 views, 1 index\nno fault\n`)
    const copy = join(root, 'copy')
    cpSync(directory, copy, { recursive: true })
    const log = readdirSync(copy)
      .filter(name => name.startsWith('wal-'))
      .sort()
      .at(-1) as string
    const { length } = readFileSync(join(copy, log))
    appendFileSync(join(copy, log), readFileSync(join(copy, log)).subarray(length - 40, length - 7))
    const torn = await check(copy)
    expect(torn.out).toContain(
      `; left out 33 bytes of a transaction that is not whole: ${join(copy, log)} from byte ${length} on\n`,
    )
    expect(torn.code).toBe(0)
  })

  it('takes no options that would change it', async () => {
    await expect(open(directory, { readOnly: true, migrate: [items] })).rejects.toThrow(
      'option migrate: a database that is',
    )
    await expect(open(directory, { readOnly: true, clock: { everyMs: 5 } })).rejects.toThrow('option clock: a database')
    await expect(open(directory, { readOnly: 1 as never })).rejects.toThrow('option readOnly: expected true or false')
    await expect(open(join(root, 'none'), { readOnly: true })).rejects.toThrow('expected a MANIFEST')
  })
})
