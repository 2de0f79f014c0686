/** What recovery makes of logs that a crash has cut short, and of logs that somebody has damaged. */
import { describe, expect, test } from 'vitest'
import { CorruptionError, GnitzError, IoError, NoSpaceError } from '../../src/base/errors.js'
import type { LogEnd } from '../../src/storage/types.js'
import { scanSegment } from '../../src/storage/wal/scan.js'
import { LogReader, readGroups } from '../../src/storage/wal/tail.js'
import { MODES } from '../zset/support.js'
import { MemoryEnv } from './wal-memory-env.js'
import { fill, lines, type Model, modelOf, openWal, Prng, randomGroup, tablesOf } from './wal-support.js'

const DIR = '/w'

interface Sample {
  readonly files: Map<string, Uint8Array>
  readonly models: readonly Model[]
  /** Where the log ended, if it was closed. */
  readonly end: LogEnd | null
  /** The transactions as text. */
  readonly lines: readonly string[]
  /** By transaction: file and first byte after it. */
  readonly ends: readonly { file: string; end: number }[]
}

type Shape = { readonly durability: 'commit' | 'none'; readonly perSegment: number; readonly closed: boolean }

/** A small log of six transactions. */
async function sampleOf({ durability, perSegment, closed }: Shape, seed: number): Promise<Sample> {
  const env = new MemoryEnv()
  const { wal } = openWal(DIR, { env, durability })
  const prng = new Prng(seed)
  const models: Model[] = []
  for (let n = 1; n <= 6; n++) {
    models.push(...(await fill(wal, n, n, prng, 1)))
    if (n % perSegment === 0) wal.rotate()
  }
  const asIs = env.image()
  if (closed) await wal.close()
  const files = closed ? env.image() : asIs
  const read = readGroups({ env: MemoryEnv.of(files), dir: DIR, tableOf: tablesOf('compiled'), after: 0n })
  return {
    files,
    models,
    end: closed ? wal.end : null,
    lines: lines(models),
    ends: [...read].map(({ file, end }) => ({ file, end })),
  }
}

function recovered(
  files: ReadonlyMap<string, Uint8Array>,
  mode: (typeof MODES)[number] = 'compiled',
  endsAt: LogEnd | null = null,
) {
  const env = MemoryEnv.of(files)
  const { wal, groups } = openWal(DIR, { env, durability: 'commit', tableOf: tablesOf(mode), endsAt })
  return { env, wal, groups }
}

function attempt<T>(run: () => T): T | GnitzError {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof GnitzError)) throw error
    return error
  }
}

const SHAPES: Shape[] = [
  { durability: 'commit', perSegment: 9, closed: false },
  { durability: 'commit', perSegment: 4, closed: true },
  { durability: 'none', perSegment: 9, closed: false },
  { durability: 'none', perSegment: 2, closed: false },
]

/** Every third byte; `EVERY_BYTE=1` damages every one. */
const STEP = process.env.EVERY_BYTE === undefined ? 3 : 1

describe.each(SHAPES)('$durability, $perSegment in a segment, closed $closed', shape => {
  test('cut at any byte: exactly the transactions that are whole, and writing goes on', async () => {
    const { files, lines: expected, ends } = await sampleOf(shape, 1)
    const names = [...files.keys()].sort()
    const last = names[names.length - 1]
    const bytes = files.get(last) as Uint8Array
    for (let cut = 0; cut <= bytes.length; cut += STEP) {
      const damaged = new Map(files).set(last, bytes.subarray(0, cut))
      const { env, wal, groups } = recovered(damaged)
      const whole = expected.filter((_, i) => ends[i].file !== last || ends[i].end <= cut)
      expect(lines(groups)).toEqual(whole)
      const { droppedBytes, offset } = wal.recovery
      expect(droppedBytes === 0 ? cut : droppedBytes + (offset as number)).toBe(cut)
      if (cut % (STEP * 32) !== 0) continue
      const more = await fill(wal, 10, 11, new Prng(cut), 2)
      expect(lines(recovered(env.image()).groups)).toEqual([...whole, ...lines(more)])
    }
  })

  test('any byte flipped: found, or the end is cut off because nothing says that it was durable', async () => {
    const { files, end, lines: expected, ends } = await sampleOf(shape, 2)
    const prng = new Prng(3)
    const blocks = [...files.keys()].flatMap(file => [...scanSegment(MemoryEnv.of(files), file)])
    const synced = blocks.filter(block => block.kind === 'block' && block.synced)
    let refused = 0
    let dropped = 0
    for (const [name, bytes] of files) {
      for (let at = 0; at < bytes.length; at += STEP) {
        const damaged = bytes.slice()
        damaged[at] ^= 1 << prng.below(8)
        const image = new Map(files).set(name, damaged)
        const found = attempt(() => recovered(image, MODES[at & 1], end))
        if (found instanceof GnitzError) {
          refused++
          expect(found).toBeInstanceOf(CorruptionError)
          expect((found as CorruptionError).file).toBe(name)
          expect((found as CorruptionError).offset as number).toBeLessThanOrEqual(at)
          continue
        }
        dropped++
        // What is before the damage is whole; what is behind it is gone, and was not SYNCED.
        const before = expected.filter((_, i) => ends[i].file < name || (ends[i].file === name && ends[i].end <= at))
        expect(lines(found.groups)).toEqual(before)
        expect(synced.find(b => b.file > name || (b.file === name && b.offset > at))).toBe(undefined)
      }
    }
    expect(refused > 0).toBe(shape.durability === 'commit')
    expect(dropped > 0).toBe(!shape.closed)
  })
})

test('a closed log that is shorter is refused, with file and offset; one that is all in shards is not', async () => {
  const { files, end, ends } = await sampleOf({ durability: 'commit', perSegment: 2, closed: true }, 8)
  const [first, second, last] = [...files.keys()].sort()
  expect(end).toEqual({ lsn: 6n, segment: 5n, offset: (files.get(last) as Uint8Array).length })
  const without = (name: string) => new Map([...files].filter(([file]) => file !== name))
  const cutAt = (name: string, length: number) =>
    new Map(files).set(name, (files.get(name) as Uint8Array).slice(0, length))
  const damaged: [Map<string, Uint8Array>, string, number][] = [
    [new Map(), last, 0],
    [without(last), last, 0],
    [cutAt(last, ends[4].end), last, ends[4].end],
    [cutAt(last, ends[4].end + 7), last, ends[4].end],
    [cutAt(second, ends[2].end), last, 0],
    [without(first), second, 0],
  ]
  for (const [image, file, offset] of damaged) {
    const found = attempt(() => recovered(image, 'compiled', end))
    expect(found).toMatchObject({ name: 'CorruptionError', file, offset })
    const env = MemoryEnv.of(image)
    const { wal } = openWal(DIR, { env, durability: 'commit', endsAt: end, afterLsn: 6n })
    expect(wal.lastLsn).toBe(6n)
  }
  // It may have gone on since.
  const { env, wal } = recovered(files, 'compiled', end)
  await fill(wal, 7, 8, new Prng(1))
  expect(recovered(env.image(), 'compiled', end).groups.length).toBe(8)
  expect(wal.end?.lsn).toBe(8n)
})

test('a damaged file never gives a wrong row, and only errors of ours', async () => {
  const { files, models } = await sampleOf({ durability: 'commit', perSegment: 4, closed: true }, 4)
  const prng = new Prng(5)
  const names = [...files.keys()]
  const prefixes = new Set(Array.from({ length: models.length + 1 }, (_, n) => lines(models.slice(0, n)).join('\n')))
  let refused = 0
  for (let round = 0; round < 200; round++) {
    const image = new Map(files)
    const name = prng.pick(names)
    image.set(name, mutated(files.get(name) as Uint8Array, files.get(prng.pick(names)) as Uint8Array, prng))
    const found = attempt(() => recovered(image, prng.pick(MODES)))
    if (found instanceof GnitzError) refused++
    else expect(prefixes.has(lines(found.groups).join('\n'))).toBe(true)
    const env = MemoryEnv.of(image)
    const read = attempt(() => [...readGroups({ env, dir: DIR, tableOf: tablesOf('compiled'), after: 0n })])
    if (!(read instanceof GnitzError)) expect(prefixes.has(lines(read.map(modelOf)).join('\n'))).toBe(true)
    let at = 0
    for (const block of scanSegment(env, name)) {
      expect(block.offset).toBe(at)
      at += block.sizeBytes
    }
    expect(at).toBe(image.get(name)?.length)
  }
  expect(refused).toBeGreaterThan(80)
})

function mutated(bytes: Uint8Array, other: Uint8Array, prng: Prng): Uint8Array {
  const at = prng.below(bytes.length)
  const count = 1 + prng.below(prng.chance(0.5) ? 8 : 200)
  const copy = bytes.slice()
  switch (prng.below(6)) {
    case 0:
      return copy.fill(prng.below(256), at, at + count)
    case 1:
      return copy.map((byte, i) => (i >= at && i < at + count ? prng.below(256) : byte))
    case 2: // a piece is missing
      return Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(at + count))
    case 3: // a piece is there twice
      return Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(Math.max(0, at - count)))
    case 4: // a piece of another file
      copy.set(other.subarray(at, Math.min(at + count, copy.length)), Math.min(at, copy.length - 1))
      return copy.length >= other.length ? copy : copy.slice(0, other.length)
    default:
      return Uint8Array.of(...bytes, ...other)
  }
}

/** Files up to the zeros that they end with. */
function withoutZeros(files: ReadonlyMap<string, Uint8Array>): Map<string, string> {
  return new Map(
    [...files].map(([path, bytes]) => [
      path,
      Buffer.from(bytes)
        .toString('hex')
        .replace(/(00)+$/, ''),
    ]),
  )
}

describe('failures of the disk', () => {
  const open = (env: MemoryEnv, durability: 'commit' | 'interval' | 'none') => openWal(DIR, { env, durability }).wal

  test.each(['commit', 'interval', 'none'] as const)(
    'a full disk: cut back, and on when there is room, %s',
    async mode => {
      const env = new MemoryEnv()
      const wal = open(env, mode)
      const prng = new Prng(6)
      // At first there is not even room for a segment's first bytes, then for a part of a write.
      let written: Model[] = []
      for (const room of [0, 10, 300, 1500, 4000, 6000, 20_000]) {
        env.capacity = room
        const lsn = wal.lastLsn + 1n
        const tries = [lsn, lsn + 1n, lsn + 2n].map(lsn => ({ lsn, ...randomGroup(lsn, prng) }))
        const before = env.image()
        for (const { lsn, parts } of tries) wal.append(lsn, parts)
        const results = await Promise.allSettled(tries.map(({ lsn }) => wal.committed(lsn)))
        if (results[0].status === 'fulfilled') {
          written = [...written, ...tries.map(t => t.model)]
          continue
        }
        for (const result of results) expect(result).toMatchObject({ reason: { code: 'NO_SPACE' } })
        expect(results[0]).toMatchObject({ reason: expect.any(NoSpaceError) })
        expect(withoutZeros(env.image())).toEqual(withoutZeros(before))
        expect(wal.failure).toBe(null)
        expect(wal.lastLsn).toBe(lsn - 1n)
        await expect(wal.committed(lsn + 1n)).rejects.toThrow(NoSpaceError)
      }
      expect(written.length).toBeGreaterThan(3)
      await wal.close()
      expect(lines(recovered(env.image()).groups)).toEqual(lines(written))
    },
  )

  test.each(['commit', 'interval', 'none'] as const)('a sync that fails: the log takes no more, %s', async mode => {
    const env = new MemoryEnv()
    const wal = open(env, mode)
    const prng = new Prng(7)
    await fill(wal, 1, 2, prng)
    env.before = operation => {
      if (operation === 'sync') throw new IoError('/w', 'EIO', 'the disk is broken')
    }
    const { parts } = randomGroup(3n, prng)
    wal.append(3n, parts)
    const committed = wal.committed(3n)
    const flushed = wal.flush()
    if (mode === 'commit') await expect(committed).rejects.toThrow(/the disk is broken; transactions after 2 may or/)
    else await committed
    await expect(flushed).rejects.toThrow(/open the directory again/)
    expect(wal.failure).toBeInstanceOf(IoError)
    expect(() => wal.append(4n, parts)).toThrow(/the disk is broken/)
    expect(() => wal.sync()).toThrow(/the disk is broken/)
    await expect(wal.committed(2n)).resolves.toBe(undefined)
    await expect(wal.close()).rejects.toThrow(/the disk is broken/)
    // Recovery does not believe what it reads before it has written it again.
    const writes: string[] = []
    env.before = operation => {
      writes.push(operation)
    }
    expect(recovered(env.image()).groups.length).toBe(3)
    expect(openWal(DIR, { env }).groups.length).toBe(3)
    expect(writes).toEqual(['write', 'truncate', 'sync', 'syncDirectory'])
  })

  test('a write that cannot be cut back: nobody knows', async () => {
    const env = new MemoryEnv()
    const { wal } = openWal(DIR, { env, durability: 'commit', aheadBytes: 0 })
    const prng = new Prng(8)
    await fill(wal, 1, 2, prng)
    env.capacity = env.usedBytes + 100
    env.before = operation => {
      if (operation === 'truncate') throw new IoError('/w', 'EIO', 'the disk is broken')
    }
    wal.append(3n, randomGroup(3n, prng).parts)
    await expect(wal.committed(3n)).rejects.toThrow(/no room; transactions after 2 may or may not be in the log/)
    expect(() => wal.append(4n, randomGroup(4n, prng).parts)).toThrow(/no room/)
    expect(recovered(env.image()).groups.map(g => g.lsn)).toEqual([1n, 2n])
  })

  test('an error while two syncs are under way is heard by one of them; the other is not believed', async () => {
    const env = new MemoryEnv()
    const wal = open(env, 'commit')
    wal.append(1n, randomGroup(1n, new Prng(1)).parts)
    const committed = wal.committed(1n)
    await Promise.resolve()
    wal.sync()
    expect(wal.durableLsn).toBe(0n)
    env.before = operation => {
      if (operation === 'sync') throw new IoError('/w', 'EIO', 'the disk is broken')
    }
    await expect(committed).rejects.toThrow(/the disk is broken/)
  })

  test('a file that is already there is not written over', async () => {
    const env = new MemoryEnv()
    const wal = open(env, 'commit')
    env.files.set(`${DIR}/wal-0000000000000001.log`, { bytes: new Uint8Array(3) })
    wal.append(1n, randomGroup(1n, new Prng(1)).parts)
    await expect(wal.committed(1n)).rejects.toThrow(/it exists/)
    expect(wal.failure).not.toBe(null)
    expect(env.files.get(`${DIR}/wal-0000000000000001.log`)?.bytes.length).toBe(3)
  })
})

describe('reading while it is written', () => {
  const readerOf = (env: MemoryEnv, after = 0n) =>
    new LogReader({ env, dir: DIR, tableOf: tablesOf('compiled'), after })

  test('byte by byte: a transaction comes when it is whole', async () => {
    const { files, models } = await sampleOf({ durability: 'commit', perSegment: 2, closed: true }, 10)
    const env = new MemoryEnv()
    const reader = readerOf(env)
    const seen: Model[] = []
    expect(reader.next()).toBe(null)
    for (const [name, bytes] of [...files].sort()) {
      const content = { bytes: new Uint8Array(0) }
      env.files.set(name, content)
      for (let size = 1; size <= bytes.length; size++) {
        content.bytes = bytes.slice(0, size)
        const group = reader.next()
        if (group !== null) seen.push(modelOf(group))
        expect(reader.next()).toBe(null)
      }
    }
    expect(lines(seen)).toEqual(lines(models))
  })

  test('bytes that come in another order are waited for', async () => {
    const { files, models, ends } = await sampleOf({ durability: 'commit', perSegment: 9, closed: false }, 11)
    const [[name, bytes]] = files
    for (let n = 0; n < 6; n++) {
      const from = n === 0 ? 0 : ends[n - 1].end
      const late = bytes.slice(0, ends[n].end)
      late.fill(0, from, from + 40)
      const env = MemoryEnv.of(new Map([[name, late]]))
      const reader = readerOf(env)
      for (let k = 0; k < n; k++) expect(reader.next()?.lsn).toBe(BigInt(k + 1))
      expect(reader.next()).toBe(null)
      env.files.set(name, { bytes })
      const again = readerOf(env, BigInt(n))
      expect(lines([modelOf(again.next() as NonNullable<ReturnType<LogReader['next']>>)])).toEqual(lines([models[n]]))
    }
  })

  test('damage in the middle is noticed when the log goes on behind it', async () => {
    const { files, ends } = await sampleOf({ durability: 'commit', perSegment: 9, closed: false }, 12)
    const [[name, bytes]] = files
    const damaged = bytes.slice()
    damaged[ends[2].end + 40] ^= 4
    const content = { bytes: damaged.slice(0, ends[3].end) }
    const env = new MemoryEnv()
    env.files.set(name, content)
    const reader = readerOf(env)
    for (let n = 1n; n <= 3n; n++) expect(reader.next()?.lsn).toBe(n)
    expect(reader.next()).toBe(null)
    content.bytes = damaged
    expect(() => reader.next()).toThrow(CorruptionError)
    const rotated = new MemoryEnv()
    const { wal } = openWal(DIR, { env: rotated, durability: 'commit' })
    await fill(wal, 1, 3, new Prng(1))
    wal.rotate()
    await fill(wal, 4, 5, new Prng(1))
    const [first] = [...rotated.files.values()]
    first.bytes[first.bytes.length - 1] ^= 1
    expect(() => [...readGroups({ env: rotated, dir: DIR, tableOf: tablesOf('generic'), after: 0n })]).toThrow(
      /a sound block in .*wal-0000000000000004.log was written when this had been durable/,
    )
  })

  test('transactions that are taken back, and segments that are pruned', async () => {
    const env = new MemoryEnv()
    const { wal } = openWal(DIR, { env, durability: 'commit' })
    await fill(wal, 1, 4, new Prng(1), 3)
    const [name, content] = [...env.files][0]
    const whole = content.bytes
    const { ends } = endsOf(env)
    for (const lost of [3, 2]) {
      content.bytes = whole
      const reader = readerOf(env)
      while (reader.next() !== null);
      content.bytes = whole.slice(0, ends[lost - 1])
      expect(() => reader.next()).toThrow(/the log was cut back/)
    }
    // Cut back and written on with something else before the reader looks.
    content.bytes = whole
    const reader = readerOf(env)
    while (reader.next() !== null);
    const replaced = await sampleOf({ durability: 'commit', perSegment: 9, closed: false }, 77)
    env.files.set(name, content)
    content.bytes = Uint8Array.of(...whole.slice(0, ends[1]), ...(replaced.files.get(name) as Uint8Array), ...whole)
    expect(() => reader.next()).toThrow(expect.objectContaining({ errno: 'ESTALE' }))
    content.bytes = whole
    const behind = readerOf(env, 2n)
    expect(behind.next()?.lsn).toBe(3n)
    const early = readerOf(env)
    wal.rotate()
    await fill(wal, 5, 6, new Prng(2))
    wal.rotate()
    await fill(wal, 7, 7, new Prng(3))
    wal.prune(6n)
    expect(behind.next()?.lsn).toBe(4n)
    expect(() => behind.next()).toThrow(expect.objectContaining({ errno: 'ENOENT' }))
    expect(() => early.next()).toThrow(/transactions after 0, up to 6, are no longer in the log/)
    expect(readerOf(env, 6n).next()?.lsn).toBe(7n)
  })

  function endsOf(env: MemoryEnv): { ends: number[] } {
    return { ends: [...readGroups({ env, dir: DIR, tableOf: tablesOf('compiled'), after: 0n })].map(g => g.end) }
  }
})
