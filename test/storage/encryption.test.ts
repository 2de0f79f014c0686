/** Encryption at rest: rows are what they were, nothing of them can be seen in files, and every wrong key is named. */
import { expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { CorruptionError, FormatError, GnitzError, IoError, KeyError, UsageError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { CountingEnv } from '../../src/env/counting.js'
import { SimulatedCrash, SimulatedEnv } from '../../src/env/simulated.js'
import { FileCipher } from '../../src/storage/crypt/keyring.js'
import { type EncryptionKey, type KeyProvider, passphraseKey, staticKeys } from '../../src/storage/crypt/keys.js'
import { Storage } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { openBody, SegmentSealer } from '../../src/storage/wal/sealed.js'
import { readGroups } from '../../src/storage/wal/tail.js'
import { Batch } from '../../src/zset/batch.js'
import { contents, MODES, runOf, sumOf, type Weighted } from '../zset/support.js'
import { commit, DOCS, diskOf, docRow, filledDisk, minus, openAt, optionsOf, plus, readAll } from './values-support.js'

const keyOf = (id: number, byte = id): EncryptionKey => ({ id, key: new Uint8Array(32).fill(byte) })
const KEY = keyOf(1)
const encryption = staticKeys(KEY)
const rowsOf = (count: number) => Array.from({ length: count }, (_, id) => plus(docRow(id)))
const isData = (path: string) => /\.(gnz|gnv|log)$/.test(path)
const textIn = (env: SimulatedEnv, text: string) =>
  env
    .files()
    .filter(({ bytes }) => Buffer.from(bytes).includes(text))
    .map(({ path }) => path)

test.each(MODES)('%s kernels: nothing of the rows can be seen, and all of them can be read', async mode => {
  const options = { encryption, kernelsOf: (layout: Parameters<typeof kernelsOf>[0]) => kernelsOf(layout, mode) }
  const env = await filledDisk(60, options)
  expect(textIn(env, 'title 1')).toEqual([])
  expect(textIn(env, 'the beginning is the same')).toEqual([])
  expect(env.files().some(({ path }) => path.endsWith('.gnv'))).toBe(true)
  const storage = await openAt(env, options)
  expect(storage.keyIds).toEqual([1])
  expect(readAll(storage)).toEqual(sumOf(rowsOf(60)))
  const table = storage.table('docs') as Tree
  const out = new Batch(DOCS, 1)
  for (let id = 0; id < 66; id += 4) {
    table.get(runOf(DOCS, [plus(docRow(id))]), 0, out)
    expect(contents(out)).toEqual(id < 60 ? [plus(docRow(id))] : [])
  }
  await storage.close()
  for (const given of [encryption, undefined]) {
    const { faults } = await verifyDirectory({ ...optionsOf(env, options), encryption: given })
    expect(faults).toEqual([])
  }
})

test('a key that is missing, wrong or malformed is named when the directory is opened', async () => {
  const env = await filledDisk(3, { encryption })
  const cases: [KeyProvider | undefined, RegExp][] = [
    [undefined, /MANIFEST: it is encrypted with key 1; give option encryption/],
    [staticKeys(keyOf(1, 9)), /key 1 is not the one with which files are encrypted/],
    [staticKeys(keyOf(2)), /key 1, with which files are encrypted, is missing/],
    [staticKeys(keyOf(2), keyOf(1, 7)), /key 1 is not the one/],
  ]
  for (const [given, message] of cases) {
    await expect(openAt(env, { encryption: given })).rejects.toThrow(KeyError)
    await expect(openAt(env, { encryption: given })).rejects.toThrow(message)
  }
  await expect(verifyDirectory({ ...optionsOf(env), encryption: staticKeys(keyOf(2)) })).rejects.toThrow(KeyError)
  for (const bad of [
    { id: 0, key: KEY.key },
    { id: 1.5, key: KEY.key },
    { id: 1, key: new Uint8Array(16) },
  ]) {
    expect(() => staticKeys(bad)).toThrow(UsageError)
    const encryption = { current: () => bad, get: () => null }
    await expect(openAt(env, { encryption })).rejects.toThrow(UsageError)
  }
  const storage = await openAt(env, { encryption: { current: async () => KEY, get: async () => null } })
  expect(readAll(storage)).toEqual(sumOf(rowsOf(3)))
  await storage.close()
})

test('what is no provider is refused, and what one throws is named', async () => {
  for (const encryption of [{}, null, 5, 'x', { current: () => KEY }]) {
    await expect(openAt(new SimulatedEnv(), { encryption: encryption as never })).rejects.toThrow(
      'option encryption: expected a key provider, staticKeys(…) or an object with functions current and get, found ',
    )
  }
  expect(() => staticKeys(undefined as never)).toThrow('encryption: expected a key { id, key }, found undefined')
  const cause = new Error('the vault is shut')
  const env = await filledDisk(3, { encryption })
  const shut = async () => {
    throw cause
  }
  const cases: [KeyProvider, number | null, RegExp][] = [
    [{ current: shut, get: () => null }, null, /MANIFEST: current\(\) of the key provider failed: the vault is shut$/],
    [{ current: () => keyOf(2), get: shut }, 1, /MANIFEST: get\(1\) of the key provider failed: the vault is shut$/],
  ]
  for (const [encryption, keyId, message] of cases) {
    const error = await openAt(env, { encryption }).then(String, (e: unknown) => e)
    expect(error).toBeInstanceOf(KeyError)
    expect(error).toMatchObject({ keyId, cause, message: expect.stringMatching(message) })
  }
})

test('a passphrase makes one key', () => {
  const salt = new Uint8Array(16).fill(5)
  const { id, key } = passphraseKey('correct horse battery staple', salt)
  expect([id, key.length]).toEqual([1, 32])
  expect(passphraseKey('correct horse battery staple', salt).key).toEqual(key)
  expect(passphraseKey('correct horse battery stable', salt).key).not.toEqual(key)
  expect(() => passphraseKey('x', new Uint8Array(8))).toThrow(UsageError)
  expect(() => passphraseKey('', salt)).toThrow(UsageError)
  expect(() => passphraseKey('x', undefined as never)).toThrow('expected a salt, a Uint8Array, found undefined')
  expect(() => passphraseKey(5 as never, salt)).toThrow('expected a passphrase, found 5')
})

test('keys rotate: old files are read with old keys, and after rekey they are not needed', async () => {
  const env = new SimulatedEnv()
  const clear = await openAt(env)
  clear.createTable(DOCS)
  commit(clear, rowsOf(20))
  await clear.close()
  expect(textIn(env, 'title 1').length).toBeGreaterThan(0)
  const first = await openAt(env, { encryption })
  commit(first, [plus(docRow(30))])
  await first.close()
  const second = await openAt(env, { encryption: staticKeys(keyOf(2), KEY) })
  expect(second.keyIds).toEqual([1, 2])
  commit(second, [plus(docRow(31)), minus(docRow(3))])
  const expected = sumOf([...rowsOf(20), plus(docRow(30)), plus(docRow(31)), minus(docRow(3))])
  for (const [row, weight] of expected) if (weight === 0n) expected.delete(row)
  expect(readAll(second)).toEqual(expected)
  const snapshot = (second.table('docs') as Tree).snapshot()
  await second.rekey()
  expect(second.keyIds).toEqual([2])
  snapshot.release()
  await second.close()
  expect(textIn(env, 'title 1')).toEqual([])
  const third = await openAt(env, { encryption: staticKeys(keyOf(2)) })
  expect(readAll(third)).toEqual(expected)
  await third.close()
  const options = { ...optionsOf(env), encryption: staticKeys(keyOf(2)) }
  expect((await verifyDirectory(options)).faults).toEqual([])
  const open = await openAt(await filledDisk(1))
  await expect(open.rekey()).rejects.toThrow('opened with option encryption')
  await open.close()
})

/** What went wrong while everything was read; null if every row is right. */
async function outcome(env: SimulatedEnv, expected: Map<string, bigint>): Promise<unknown> {
  try {
    const storage = await openAt(env, { encryption })
    try {
      expect(readAll(storage)).toEqual(expected)
      return null
    } finally {
      await storage.close({ checkpoint: false })
    }
  } catch (error) {
    return error
  }
}

test('flipped bytes are found, with a key and without', async () => {
  const prng = new Prng(5)
  const disk = await filledDisk(6, { encryption })
  const writer = await openAt(disk, { encryption })
  commit(writer, [plus(docRow(6))])
  await writer.close({ checkpoint: false })
  const files = disk.files()
  const expected = sumOf(rowsOf(7))
  for (let n = 0; n < 70; n++) {
    const victim = prng.pick(files.filter(({ path }) => isData(path)))
    const flipped = victim.bytes.slice()
    flipped[prng.below(flipped.length)] ^= 1 << prng.below(8)
    const env = diskOf(files, f => (f === victim ? flipped : f.bytes))
    expect((await verifyDirectory(optionsOf(env))).faults[0]?.file).toBe(victim.path)
    const error = await outcome(env, expected)
    if (error === null) continue
    expect(error instanceof CorruptionError || error instanceof FormatError ? error.file : error).toBe(victim.path)
  }
})

test('somebody who computes checksums cannot move sealed bytes', async () => {
  const { decodeManifest, encodeManifest } = await import('../../src/storage/manifest/format.js')
  const { xxh3 } = await import('../../src/base/checksum.js')
  const disk = new SimulatedEnv()
  const storage = await openAt(disk, { encryption })
  storage.createTable(DOCS)
  // Two shards with rows of the same form.
  for (const id of [1, 2]) {
    commit(storage, [plus([BigInt(id), 'a title', null, `note ${id}`])])
    storage.checkpoint()
  }
  await storage.close()
  const files = disk.files()
  const manifestFile = files.find(({ path }) => path.endsWith('MANIFEST')) as (typeof files)[number]
  const manifest = decodeManifest(manifestFile.bytes, 'M')
  const [a, b] = files.filter(({ path }) => path.endsWith('.gnz'))
  const place = (bytes: Uint8Array, r: number) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    return {
      at: 64 + r * 24,
      from: Number(view.getBigUint64(64 + r * 24, true)),
      size: Number(view.getBigUint64(72 + r * 24, true)),
    }
  }
  /** Puts region `s` of `source` in the place of region `r`, and makes all checksums right. */
  const forge = async (r: number, source: Uint8Array, s: number) => {
    const forged = a.bytes.slice()
    const [to, from] = [place(forged, r), place(source, s)]
    expect(from.size).toBe(to.size)
    forged.set(source.subarray(from.from, from.from + from.size), to.from)
    const view = new DataView(forged.buffer)
    view.setBigUint64(to.at + 16, xxh3(forged.subarray(to.from, to.from + to.size)), true)
    const shards = manifest.shards.map((shard, n) =>
      n === 0 ? { ...shard, checksum: xxh3(forged.subarray(0, 64 + 7 * 24)) } : shard,
    )
    const written = encodeManifest({ ...manifest, shards })
    return await outcome(
      diskOf(files, f => (f === a ? forged : f === manifestFile ? written : f.bytes)),
      new Map(),
    )
  }
  // Regions: PK, W, N, title, body, note, B. Titles for bodies, and notes of another file.
  expect(String(await forge(4, a.bytes, 3))).toMatch(/C2: this is not what was encrypted with key 1 for this place/)
  expect(String(await forge(5, b.bytes, 5))).toMatch(/C3: this is not what was encrypted with key 1 for this place/)
})

test('the log is encrypted, goes on over openings, and is checked without a key', async () => {
  const env = new SimulatedEnv()
  const rows: Weighted[] = []
  for (let n = 0; n < 4; n++) {
    const storage = await openAt(env, { encryption })
    storage.createTable(DOCS)
    // Two transactions whose blocks differ in nothing but their values.
    for (const id of [n, n + 10]) {
      commit(storage, [plus(docRow(id))])
      rows.push(plus(docRow(id)))
    }
    await storage.close({ checkpoint: false })
  }
  expect(textIn(env, 'title 1')).toEqual([])
  expect(textIn(env, 'the beginning')).toEqual([])
  const logs = env.files().filter(({ path }) => path.endsWith('.log'))
  expect(logs.length).toBe(4)
  const found = await verifyDirectory({ ...optionsOf(env), encryption })
  expect(found).toMatchObject({ faults: [], notes: [], log: { transactions: 8, rowCount: 8 } })
  const locked = await verifyDirectory(optionsOf(env))
  expect(locked).toMatchObject({ faults: [], log: { transactions: 0 }, lsn: 8n })
  expect(locked.notes[0].problem).toMatch(/no key was given/)
  const reader = await openAt(env, { encryption, readOnly: true })
  expect(readAll(reader)).toEqual(sumOf(rows))
  await reader.close()
  await expect(openAt(env, { readOnly: true })).rejects.toThrow(KeyError)
  expect(() => Storage.openLoaded(optionsOf(env))).toThrow(KeyError)
  expect(await outcome(env, sumOf(rows))).toBe(null)
  const options = { env, dir: '/db', tableOf: () => kernelsOf(DOCS, 'generic'), after: 0n }
  expect(() => [...readGroups(options)]).toThrow(
    /wal-0000000000000001.log: it is encrypted with key 1, which was not given/,
  )
})

test('a block of the log is bound to what its header says', () => {
  const cipher = new FileCipher(1, new Uint8Array(16), KEY.key)
  const sealer = new SegmentSealer(cipher)
  const header = { lsn: 5n, tableId: 2, entryCount: 1, tailBytes: 30, more: false, checksum: 0n, synced: false }
  const sealed = () => {
    const body = new Uint8Array(100).fill(7)
    sealer.seal(header, body)
    return body
  }
  const [a, b] = [sealed(), sealed()]
  expect(a).not.toEqual(b)
  for (const body of [a, b]) expect(openBody(cipher, header, body)).toEqual(new Uint8Array(76).fill(7))
  for (const other of [
    { lsn: 6n },
    { tableId: 3 },
    { entryCount: 2 },
    { tailBytes: 31 },
    { more: true },
    { tailBytes: 3 },
  ]) {
    expect(openBody(cipher, { ...header, ...other }, a)).toBe(null)
  }
  expect(openBody(cipher, { ...header, synced: true }, a)).not.toBe(null)
  a.set(b.subarray(92), 92)
  expect(openBody(cipher, header, a)).toBe(null)
})

test('a look-up decrypts chunks, not regions', async () => {
  const disk = new SimulatedEnv()
  const storage = await openAt(disk, { encryption, valueThreshold: Infinity, memTableBytes: 1 << 24 })
  storage.createTable(DOCS)
  const row = (id: number) => [BigInt(id), `a title that is longer than a cell, number ${id}`, null, null]
  commit(
    storage,
    Array.from({ length: 20_000 }, (_, id) => plus(row(id))),
  )
  await storage.close()
  const env = new CountingEnv(disk)
  const again = await openAt(env, { encryption, decryptedBytes: 1000 })
  const table = again.table('docs') as Tree
  const out = new Batch(DOCS, 1)
  const get = (id: number) => {
    table.get(runOf(DOCS, [plus(row(id))]), 0, out)
    expect(contents(out)).toEqual([plus(row(id))])
  }
  get(5)
  env.reset()
  get(15_000)
  // Null words, three columns and the heap: a chunk of each, and two where a text lies across.
  expect(env.bytesRead()).toBeLessThan(7 * (65_536 + 16))
  env.reset()
  get(15_001)
  // Its key and weight, which are in the clear.
  expect(env.bytesRead()).toBe(16)
  for (let id = 0; id < 20_000; id += 61) get(id)
  expect(readAll(again).size).toBe(20_000)
  await again.close()
})

test('a cursor decrypts what it comes to', async () => {
  const disk = new SimulatedEnv()
  const options = { encryption, valueThreshold: Infinity, memTableBytes: 1 << 24, amplificationThreshold: 9 }
  const storage = await openAt(disk, options)
  const row = (id: number, n = 0) => [BigInt(id), `a title that is longer than a cell, number ${id} ${n}`, null, null]
  storage.createTable(DOCS)
  const all: Weighted[] = []
  for (let n = 0; n < 3; n++) {
    const part = Array.from({ length: 8000 }, (_, id) => plus(row(id * 3 + n)))
    // Rows that cancel, and a key with many rows.
    if (n > 0) part.push(...Array.from({ length: 2000 }, (_, id) => minus(row(id * 3))))
    else part.push(...Array.from({ length: 1500 }, (_, k) => plus(row(9999, k + 1))))
    all.push(...part)
    commit(storage, part)
    storage.checkpoint()
  }
  await storage.close()
  const env = new CountingEnv(disk)
  const again = await openAt(env, { ...options, decryptedBytes: 1000 })
  commit(again, [plus(row(50_000)), minus(row(23_000))])
  all.push(plus(row(50_000)), minus(row(23_000)))
  const table = again.table('docs') as Tree
  table.cursor().close()
  const total = disk.files().reduce((sum, f) => sum + f.bytes.length, 0)
  env.reset()
  const cursor = table.cursor({ from: runOf(DOCS, [plus(row(20_000))]) })
  expect(contents(cursor.next() as Batch)[0]).toEqual(plus(row(20_000)))
  cursor.close()
  expect(env.bytesRead()).toBeLessThan(total / 2)
  expect(readAll(again)).toEqual(sumOf(all))
  await again.close()
})

test('power cuts while keys are changed: what was there is there, with either key', async () => {
  const first = await filledDisk(5, { encryption })
  const start = first.files()
  const keys = { encryption: staticKeys(keyOf(2), KEY) }
  const work = async (env: SimulatedEnv) => {
    const storage = await openAt(env, keys)
    commit(storage, [plus(docRow(9))])
    await storage.rekey()
    await storage.close()
  }
  const whole = diskOf(start, f => f.bytes)
  await work(whole)
  const total = whole.operations
  const states = [sumOf(rowsOf(5)), sumOf([...rowsOf(5), plus(docRow(9))])]
  let cuts = 0
  for (let at = 1; at <= total; at += 3) {
    const env = diskOf(start, f => f.bytes)
    env.schedule.push({ at, fault: 'crash' })
    await work(env).catch(error => {
      if (!(error instanceof SimulatedCrash)) throw error
    })
    if (!env.crashed) continue
    cuts++
    const storage = await openAt(env.crash(new Prng(at)), keys)
    expect(states).toContainEqual(readAll(storage))
    await storage.close()
  }
  expect(cuts).toBeGreaterThan(10)
})

test('power cuts while the key is changed that only the log has: the manifest lists it until the log is gone', async () => {
  const expected = sumOf([plus(docRow(9))])
  let cuts = 0
  for (let at = 1, crashed = true; crashed; at++) {
    let current = KEY
    const encryption = { current: () => current, get: (id: number) => (id === 1 ? KEY : keyOf(2)).key }
    const env = new SimulatedEnv()
    const storage = await openAt(env, { encryption })
    storage.createTable(DOCS)
    storage.checkpoint()
    commit(storage, [plus(docRow(9))])
    storage.sync()
    env.schedule.push({ at: env.operations + at, fault: 'crash' })
    current = keyOf(2)
    await storage.rekey().catch(error => {
      if (!(error instanceof SimulatedCrash)) throw error
    })
    crashed = env.crashed
    env.schedule.length = 0
    if (!crashed) expect(storage.keyIds).toEqual([2])
    await storage.close().catch(() => undefined)
    const next = crashed ? env.crash(new Prng(at)) : env
    const again = await openAt(next, { encryption: staticKeys(keyOf(2), KEY) })
    expect(readAll(again)).toEqual(expected)
    await again.close()
    cuts++
  }
  expect(cuts).toBeGreaterThan(10)
})

test('a change of keys that fails is followed by another one, to a third key', async () => {
  let current = KEY
  const keyring = [KEY, keyOf(2), keyOf(3)]
  const encryption = { current: () => current, get: (id: number) => keyring.find(k => k.id === id)?.key ?? null }
  const env = new SimulatedEnv()
  const storage = await openAt(env, { encryption, memTableBytes: 9000 })
  storage.createTable(DOCS)
  const rows = Array.from({ length: 12 }, (_, id) => plus(docRow(id)))
  commit(storage, rows.slice(0, 2))
  storage.checkpoint()
  current = keyOf(2)
  const { syncDirectory } = env
  env.syncDirectory = path => {
    throw new IoError(path, 'EIO', 'not now')
  }
  await expect(storage.rekey()).rejects.toThrow('not now')
  env.syncDirectory = syncDirectory
  // In files that no manifest lists yet.
  commit(storage, rows.slice(2))
  current = keyOf(3)
  await storage.rekey()
  expect(storage.keyIds).toEqual([3])
  await storage.close()
  const again = await openAt(env, { encryption: staticKeys(keyOf(3)) })
  expect(readAll(again)).toEqual(sumOf(rows))
  await again.close()
})

test('random changes to sealed files give rows or an error, nothing else', async () => {
  const prng = new Prng(21)
  const files = (await filledDisk(5, { encryption })).files()
  for (let n = 0; n < 100; n++) {
    const victim = prng.pick(files)
    const changed = victim.bytes.slice(0, prng.chance(0.2) ? prng.below(victim.bytes.length) : undefined)
    for (let k = 1 + prng.below(6); k > 0 && changed.length > 0; k--)
      changed[prng.below(changed.length)] = prng.below(256)
    const error = await outcome(
      diskOf(files, f => (f === victim ? changed : f.bytes)),
      sumOf(rowsOf(5)),
    )
    if (error !== null) expect(error).toBeInstanceOf(GnitzError)
  }
})
