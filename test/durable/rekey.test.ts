/** Changing the key of a database: everything is rewritten, nothing is lost, and the earlier key is not needed any more. */
import { expect, it } from 'vitest'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { count, open, string, table, u32, view } from '../../src/index.js'
import { KeyError, staticKeys } from '../../src/storage/index.js'
import { snapshot as stateOf } from '../engine/support.js'

const notes = table('notes', { id: u32().primaryKey(), kind: string(), text: string() })
const perKind = view('perKind', q =>
  q
    .from(notes)
    .groupBy(n => ({ kind: n.kind }))
    .aggregate({ n: count() }),
)
const key = (id: number) => ({ id, key: new Uint8Array(32).fill(id) })
const note = (id: number) => ({
  id,
  kind: id % 2 === 0 ? 'even' : 'odd',
  text: `secret ${id} `.repeat(id % 3 === 0 ? 600 : 1),
})

it('rekey rewrites a database with the current key of its provider', async () => {
  let env = new SimulatedEnv({ seed: 3 })
  const options = { checkpointMs: Number.POSITIVE_INFINITY }
  const visible = () => env.files().filter(({ bytes }) => Buffer.from(bytes).includes('secret')).length
  let db = await open('/db', { ...options, env })
  db.createView(perKind)
  db.insert(notes, [0, 1, 2].map(note))
  db.checkpoint()
  await expect(db.rekey()).rejects.toThrow('rekey: expected a directory that was opened with option encryption')
  await db.close()
  expect(visible()).toBeGreaterThan(0)
  // What was in the clear is not any more. Rows in shards, in value logs, and in memory alone.
  let current = key(1)
  const provider = { current: () => current, get: (id: number) => (id <= 2 ? key(id).key : null) }
  db = await open('/db', { ...options, env, encryption: provider })
  await db.insert(notes, [3, 4].map(note))
  await db.rekey()
  expect(visible()).toBe(0)
  await db.insert(notes, [5, 6].map(note))
  db.checkpoint()
  await db.insert(notes, [7, 8, 9].map(note))
  current = key(2)
  const [rekeyed] = [db.rekey(), db.insert(notes, note(10))]
  await rekeyed
  expect(db.durability?.storage.keyIds).toEqual([2])
  const state = stateOf(db)
  env = env.processCrash()
  await expect(open('/db', { ...options, env, encryption: staticKeys(key(1)) })).rejects.toThrow(KeyError)
  db = await open('/db', { ...options, env, encryption: staticKeys(key(2)) })
  expect(stateOf(db)).toEqual(state)
  expect(db.view('perKind').rows()).toEqual([
    { kind: 'even', n: 6n },
    { kind: 'odd', n: 5n },
  ])
  await db.close()
  await expect(db.rekey()).rejects.toThrow('rekey: the database is closed')
  await expect(open().rekey()).rejects.toThrow('found one in memory')
})
