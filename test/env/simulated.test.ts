import { describe, expect, it } from 'vitest'
import { IoError, LockedError, NoSpaceError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import type { EnvFile } from '../../src/env/env.js'
import { SimulatedCrash, SimulatedEnv, type SimulatedOptions } from '../../src/env/simulated.js'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const bytes = (string: string) => new Uint8Array(Buffer.from(string, 'latin1'))

/** A world with the durable file `/f`, and the file open to write. */
function withFile(content: string, options: SimulatedOptions = {}): { env: SimulatedEnv; file: EnvFile } {
  const env = new SimulatedEnv(options)
  env.plant('/f', bytes(content))
  return { env, file: env.open('/f', 'write') }
}

/** The outcomes of many power cuts, as a sorted set. */
function outcomes(env: SimulatedEnv, show: (env: SimulatedEnv) => string, count = 300): string[] {
  const prng = new Prng(1)
  return [...new Set(Array.from({ length: count }, () => show(env.crash(prng))))].sort()
}

const readF = (env: SimulatedEnv) => text(env.contents('/f'))
const names = (env: SimulatedEnv) => env.list('/').join(' ')

describe('bytes after a power cut', () => {
  it('are there when synced', () => {
    const { env, file } = withFile('old')
    file.write(bytes('new and longer'), 0)
    file.sync()
    file.truncate(5)
    file.sync()
    expect(outcomes(env, readF)).toEqual(['new a'])
  })

  it('are any subset of what was not synced, in any order', () => {
    const { env, file } = withFile('....')
    file.write(bytes('aa'), 0)
    file.sync()
    file.write(bytes('b'), 1)
    file.write(bytes('c'), 2)
    file.write(bytes('d'), 1)
    const seen = outcomes(env, readF)
    expect(seen).toEqual(['aa..', 'aac.', 'ab..', 'abc.', 'ad..', 'adc.'])
    expect(readF(env)).toBe('adc.')
  })

  it('are torn at bytes and at sectors', () => {
    const { env, file } = withFile('')
    file.write(new Uint8Array(2048).fill(120), 0)
    const shapes = outcomes(env, world =>
      text(world.contents('/f')).replace(/(.)\1*/gs, run => `${run[0]}${run.length} `),
    )
    const has = (shape: RegExp) => shapes.some(found => shape.test(found))
    expect(has(/^$/)).toBe(true)
    expect(has(/^x2048 $/)).toBe(true)
    expect(has(/^x(512|1024|1536) $/)).toBe(true)
    expect(shapes.some(found => /^x\d+ $/.test(found) && Number(found.slice(1)) % 512 !== 0)).toBe(true)
    expect(has(/^\0(512|1024) x\d+ /)).toBe(true)
    expect(has(/^\0\d+ $/)).toBe(true)
  })

  it('keep what was durable under a torn write', () => {
    const { env, file } = withFile('x'.repeat(1024))
    file.write(new Uint8Array(1024).fill(121), 0)
    expect(outcomes(env, readF).every(found => /^[xy]{1024}$/.test(found))).toBe(true)
  })

  it('may be cut by a truncation or not, and extended by it', () => {
    const { env, file } = withFile('abcd')
    file.truncate(2)
    file.truncate(3)
    const seen = outcomes(env, readF)
    for (const shape of ['ab', 'ab\0', 'abc', 'abcd']) expect(seen).toContain(shape)
  })

  it('are all there when only the process is killed, and no more durable than before', () => {
    const { env, file } = withFile('old')
    file.write(bytes('new'), 0)
    const survivor = env.processCrash()
    expect(readF(survivor)).toBe('new')
    expect(outcomes(survivor, readF)).toEqual(expect.arrayContaining(['new', 'old']))
    expect(outcomes(env, readF)).toEqual(expect.arrayContaining(['new', 'old']))
  })
})

describe('names after a power cut', () => {
  it('of new files may be missing until the directory is synced, although the file is', () => {
    const env = new SimulatedEnv()
    const file = env.open('/a', 'create')
    file.write(bytes('x'), 0)
    file.sync()
    expect(outcomes(env, names)).toEqual(['', 'a'])
  })

  it('are durable after a sync of the directory', () => {
    const env = new SimulatedEnv()
    env.open('/a', 'create').close()
    env.open('/b', 'create').close()
    env.syncDirectory('/')
    env.rename('/a', '/c')
    env.remove('/b')
    env.syncDirectory('/')
    expect(outcomes(env, names)).toEqual(['c'])
  })

  it('change by a rename whole or not at all, whatever else survives', () => {
    const env = new SimulatedEnv()
    env.plant('/MANIFEST', bytes('old'))
    const swap = env.open('/MANIFEST.swap', 'create')
    swap.write(bytes('new'), 0)
    swap.sync()
    env.rename('/MANIFEST.swap', '/MANIFEST')
    const show = (world: SimulatedEnv) => `${names(world)}: ${text(world.contents('/MANIFEST'))}`
    expect(outcomes(env, show)).toEqual(['MANIFEST MANIFEST.swap: old', 'MANIFEST: new', 'MANIFEST: old'])
  })

  it('come back when removed, and vanish with their directory', () => {
    const env = new SimulatedEnv()
    env.plant('/old', bytes('x'))
    env.remove('/old')
    env.makeDirectory('/d')
    env.open('/d/a', 'create').close()
    env.syncDirectory('/d')
    const show = (world: SimulatedEnv) =>
      world
        .files()
        .map(({ path }) => path)
        .join(' ')
    expect(outcomes(env, show)).toEqual(['', '/d/a', '/d/a /old', '/old'])
  })

  it('belong to the file, not to the name, when a name is used again', () => {
    const env = new SimulatedEnv()
    env.plant('/f', bytes('first'))
    env.remove('/f')
    const second = env.open('/f', 'create')
    second.write(bytes('second'), 0)
    second.sync()
    const show = (world: SimulatedEnv) =>
      world
        .files()
        .map(file => text(file.bytes))
        .join(' ')
    expect(outcomes(env, show)).toEqual(['', 'first', 'second'])
  })
})

describe('a crash', () => {
  it('stops every call, also of open files and timers, and later crashes may differ', async () => {
    const { env, file } = withFile('old', { crashAt: 3 })
    env.after(1, () => expect.unreachable())
    file.write(bytes('a'), 0)
    expect(() => file.write(bytes('b'), 0)).toThrow(SimulatedCrash)
    expect(env.crashed).toBe(true)
    const calls: (() => unknown)[] = [
      () => file.write(bytes('c'), 0),
      () => file.size(),
      () => file.sync(),
      () => file.syncLater(),
      () => file.close(),
      () => env.open('/f', 'read'),
      () => env.stat('/f'),
      () => env.list('/'),
      () => env.map('/f'),
      () => env.now(),
      () => env.after(1, () => {}),
      () => env.advance(1),
      () => env.lock('/LOCK'),
    ]
    for (const call of calls) expect(call).toThrow(SimulatedCrash)
    expect(env.operations).toBe(3)
  })

  it('may come before, in the middle of or after its operation', () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 60; seed++) {
      const { env, file } = withFile('', { seed, crashAt: 2 })
      expect(() => file.write(bytes('abc'), 0)).toThrow(SimulatedCrash)
      seen.add(readF(env.processCrash()))
    }
    expect([...seen].sort()).toEqual(['', 'a', 'ab', 'abc'])
  })

  it('rejects what waits for a sync', async () => {
    const { env, file } = withFile('old')
    file.write(bytes('new'), 0)
    const sync = file.syncLater()
    env.crash(new Prng(1))
    await expect(sync).rejects.toThrow(SimulatedCrash)
  })

  it('gives the same outcome for the same seed', () => {
    const run = (seed: number) => {
      const env = new SimulatedEnv({ seed, rates: { shortWrite: 0.1, syncError: 0.1, nameError: 0.1, readError: 0.1 } })
      for (let i = 0; i < 30; i++) {
        try {
          const file = env.open(`/${i % 7}`, env.stat(`/${i % 7}`) === null ? 'create' : 'write')
          file.write(new Uint8Array(600).fill(i), i * 100)
          if (i % 3 === 0) file.sync()
          file.close()
        } catch (error) {
          expect(error).toBeInstanceOf(IoError)
        }
      }
      const after = env.crash(new Prng(seed))
      return [env.trace(1000), after.files().map(file => [file.path, text(file.bytes)])]
    }
    expect(run(5)).toEqual(run(5))
    expect(run(5)).not.toEqual(run(6))
  })
})

describe('faults', () => {
  it('happen at given operations, or the first they fit', () => {
    const { env, file } = withFile('old', {
      schedule: [
        { at: 2, fault: 'short' },
        { at: 2, fault: 'drop' },
        { at: 6, fault: 'error' },
        { at: 7, fault: 'no-space' },
      ],
    })
    file.read(new Uint8Array(1), 0)
    expect(() => file.write(bytes('abcdef'), 0)).toThrow(/^\/f: cannot write 6 bytes at 0: injected into operation 3$/)
    expect('abcdef'.startsWith(text(env.contents('/f')).replace(/old$|ld$|d$/, ''))).toBe(true)
    file.sync()
    expect(env.lies).toBe(1)
    file.sync()
    expect(env.lies).toBe(1)
    expect(() => file.read(new Uint8Array(1), 0)).toThrow(IoError)
    expect(() => file.write(bytes('x'), 0)).toThrow(NoSpaceError)
    expect(env.schedule).toEqual([])
    file.write(bytes('fine'), 0)
  })

  it('leave nothing of a write that fails outright', () => {
    const { env, file } = withFile('old', { rates: { writeError: 1 } })
    expect(() => file.write(bytes('new'), 0)).toThrow(IoError)
    expect(() => file.truncate(0)).toThrow(IoError)
    expect(readF(env)).toBe('old')
  })

  it('make a failed sync final: the file refuses, and what was lost stays lost', async () => {
    const { env, file } = withFile('..', { schedule: [{ at: 4, fault: 'error' }] })
    file.write(bytes('a'), 0)
    file.write(bytes('b'), 1)
    let failure: unknown
    try {
      file.sync()
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(IoError)
    expect(() => file.sync()).toThrow(failure as IoError)
    await expect(file.syncLater()).rejects.toBe(failure)
    const again = env.open('/f', 'write')
    again.sync()
    const seen = outcomes(env, readF)
    expect(seen.length).toBe(1)
    expect(['..', 'a.', '.b', 'ab']).toContain(seen[0])
  })

  it('lose a rename for good', () => {
    const env = new SimulatedEnv({ rates: { lostRename: 1 } })
    env.plant('/a', bytes('x'))
    env.rename('/a', '/b')
    env.syncDirectory('/')
    expect(names(env)).toBe('b')
    expect(env.lies).toBe(1)
    expect(outcomes(env, names)).toEqual(['a'])
  })

  it('drop a sync of a directory', () => {
    const env = new SimulatedEnv({ rates: { droppedSync: 1 } })
    env.open('/a', 'create')
    env.syncDirectory('/')
    expect(() => env.syncDirectory('/none')).toThrow(IoError)
    expect(outcomes(env, names)).toEqual(['', 'a'])
  })
})

describe('a full disk', () => {
  it('takes the part of a write that fits, and more when there is room again', () => {
    const { env, file } = withFile('0123', { capacityBytes: 8 })
    expect(() => file.write(bytes('abcdefgh'), 2)).toThrow(NoSpaceError)
    expect(readF(env)).toBe('01abcdef')
    file.write(bytes('xy'), 0)
    expect(() => file.truncate(9)).toThrow(NoSpaceError)
    expect(() => file.write(bytes('z'), 20)).toThrow(NoSpaceError)
    expect(file.size()).toBe(8)
    env.capacityBytes = 9
    file.write(bytes('ghi'), 6)
    expect(readF(env)).toBe('xyabcdghi')
  })

  it('counts a removed file while it is open', () => {
    const { env, file } = withFile('0123', { capacityBytes: 4 })
    env.remove('/f')
    const other = env.open('/g', 'create')
    expect(() => other.write(bytes('x'), 0)).toThrow(NoSpaceError)
    expect(env.usedBytes).toBe(4)
    file.close()
    other.write(bytes('x'), 0)
    expect(env.usedBytes).toBe(1)
  })
})

describe('a sync under way', () => {
  it('covers what was written before it, not after', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { env, file } = withFile('..', { seed })
      file.write(bytes('a'), 0)
      const sync = file.syncLater()
      file.write(bytes('b'), 1)
      await sync
      expect(outcomes(env, readF, 60)).toEqual(['a.', 'ab'])
    }
  })

  it('takes effect at some moment before it is reported', () => {
    const early = new Set<boolean>()
    for (let seed = 0; seed < 40; seed++) {
      const { env, file } = withFile('.', { seed })
      file.write(bytes('a'), 0)
      void file.syncLater()
      env.list('/')
      env.list('/')
      early.add(outcomes(env, readF, 40).length === 1)
    }
    expect([...early].sort()).toEqual([false, true])
  })

  it('fails where it is waited for, and for good', async () => {
    const { file } = withFile('.', { schedule: [{ at: 3, fault: 'error' }] })
    file.write(bytes('a'), 0)
    const sync = file.syncLater()
    await expect(sync).rejects.toThrow(/cannot sync later: injected into operation 3/)
    expect(() => file.sync()).toThrow(IoError)
  })

  it('goes on when the file is closed', async () => {
    const { env, file } = withFile('.')
    file.write(bytes('a'), 0)
    const sync = file.syncLater()
    file.close()
    await sync
    await expect(file.syncLater()).rejects.toThrow(/closed/)
    expect(outcomes(env, readF)).toEqual(['a'])
  })
})

describe('lock, clock, mapping, trace', () => {
  it('locks once, until release or the end of the world', () => {
    const env = new SimulatedEnv()
    const lock = env.lock('/LOCK')
    expect(() => env.lock('/LOCK')).toThrow(LockedError)
    expect(names(env)).toBe('LOCK')
    lock.release()
    lock.release()
    expect(names(env)).toBe('')
    env.lock('/LOCK')
    const next = env.processCrash()
    expect(names(next)).toBe('LOCK')
    next.lock('/LOCK').release()
    next.crash(new Prng(1)).lock('/LOCK')
  })

  it('lets time pass when told', () => {
    const env = new SimulatedEnv({ startMs: 1000 })
    const calls: string[] = []
    const at = (name: string) => () => calls.push(`${name} at ${env.now()}`)
    env.after(20, at('b'))
    const cancel = env.after(15, at('never'))
    env.after(10, () => {
      at('a')()
      cancel()
      env.after(5, at('nested'))
    })
    env.advance(9)
    expect(calls).toEqual([])
    env.advance(11)
    expect(calls).toEqual(['a at 1010', 'nested at 1015', 'b at 1020'])
    expect(env.now()).toBe(1020)
  })

  it('maps only when asked to', () => {
    expect(withFile('abc').env.map('/f')).toBeNull()
    const { env, file } = withFile('abc', { mapping: true })
    const mapped = env.map('/f')!
    file.write(bytes('x'), 0)
    expect(text(mapped.bytes)).toBe('abc')
    expect(() => env.map('/none')).toThrow(IoError)
  })

  it('tells what happened last', () => {
    const { env, file } = withFile('abc', { seed: 9, schedule: [{ at: 2, fault: 'short' }], crashAt: 4 })
    expect(() => file.write(bytes('12345'), 0)).toThrow(IoError)
    expect(() => env.rename('/none', '/x')).toThrow(IoError)
    expect(() => env.remove('/f')).toThrow(SimulatedCrash)
    expect(env.trace()).toBe(
      [
        'simulated Env: seed 9, 4 operations, crashed',
        '#1 open to write /f',
        '#2 write /f 5 bytes at 0 → short',
        '#3 rename /none to /x → ENOENT',
        '#4 remove /f → crash',
      ].join('\n'),
    )
    expect(env.trace(1)).toMatch(/crashed\n#4 remove/)
  })
})
