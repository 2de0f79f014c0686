import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { IoError, NoSpaceError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { joinPath } from '../../src/env/env.js'
import { failure } from '../../src/env/failure.js'
import { canMap } from '../../src/env/mmap.js'
import { NodeEnv } from '../../src/env/node.js'

let directory: string
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'gnitz-env-'))
})
afterEach(() => {
  fs.rmSync(directory, { recursive: true })
})

const env = new NodeEnv()
const at = (name: string) => joinPath(directory, name)
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const bytes = (string: string) => new Uint8Array(Buffer.from(string, 'latin1'))

function ioError(call: () => unknown): IoError {
  try {
    call()
  } catch (error) {
    if (error instanceof IoError) return error
    throw error
  }
  throw new Error('expected an IoError')
}

describe('files', () => {
  it('writes and reads at any place, extends with zeros and cuts', () => {
    const file = env.open(at('a'), 'create')
    file.write(bytes('hello'), 0)
    file.write(bytes('world'), 8)
    file.sync()
    expect(file.size()).toBe(13)
    const into = new Uint8Array(20)
    expect(file.read(into, 0)).toBe(13)
    expect(text(into.subarray(0, 13))).toBe('hello\0\0\0world')
    expect(file.read(into.subarray(0, 4), 8)).toBe(4)
    expect(text(into.subarray(0, 4))).toBe('worl')
    expect(file.read(into, 13)).toBe(0)
    expect(file.read(into, 99)).toBe(0)
    file.truncate(3)
    file.truncate(6)
    expect(file.read(into, 0)).toBe(6)
    expect(text(into.subarray(0, 6))).toBe('hel\0\0\0')
    file.close()
    file.close()
  })

  it('opens by mode', () => {
    expect(ioError(() => env.open(at('a'), 'read')).errno).toBe('ENOENT')
    expect(ioError(() => env.open(at('a'), 'write')).errno).toBe('ENOENT')
    env.open(at('a'), 'create').close()
    expect(ioError(() => env.open(at('a'), 'create')).errno).toBe('EEXIST')
    const writer = env.open(at('a'), 'write')
    writer.write(bytes('x'), 0)
    const reader = env.open(at('a'), 'read')
    expect(reader.size()).toBe(1)
    expect(ioError(() => reader.write(bytes('y'), 0)).message).toMatch(/a: cannot write 1 bytes at byte 0: .*\(EBADF\)/)
    writer.close()
    reader.close()
  })

  it('refuses calls on a closed file instead of reaching for another one with its descriptor', async () => {
    const file = env.open(at('a'), 'create')
    file.close()
    const other = env.open(at('b'), 'create')
    expect(ioError(() => file.write(bytes('x'), 0)).errno).toBe('EBADF')
    expect(ioError(() => file.read(new Uint8Array(1), 0)).errno).toBe('EBADF')
    expect(ioError(() => file.sync()).errno).toBe('EBADF')
    await expect(file.syncLater()).rejects.toThrow(/the file is closed/)
    expect(other.size()).toBe(0)
    other.close()
  })

  it('writes through block by block, among other writes', () => {
    const file = env.open(at('a'), 'create')
    const expected = new Uint8Array(40 * 4096)
    file.write(expected, 0)
    file.sync()
    let end = 0
    const prng = new Prng(1)
    for (let n = 0; n < 60; n++) {
      const part = new Uint8Array(prng.pick([1, 100, 4096, 4097, 1 + prng.below(3000)])).fill(n + 1)
      if (prng.chance(0.2)) file.write(part, end)
      else file.writeThrough(part, end)
      expected.set(part, end)
      end += part.length
      if (prng.chance(0.1)) {
        // Cut back and extended again, as after a write that failed.
        end -= prng.below(part.length)
        file.truncate(end)
        file.truncate(expected.length)
        expected.fill(0, end)
      }
      const found = new Uint8Array(expected.length + 1)
      expect(file.read(found, 0)).toBe(expected.length)
      expect(Buffer.compare(found.subarray(0, expected.length), expected)).toBe(0)
    }
    file.close()
    expect(Buffer.compare(fs.readFileSync(at('a')), expected)).toBe(0)
  })

  it('writes through to many files in turn', () => {
    const files = [0, 1, 2].map(n => env.open(at(`f${n}`), 'create'))
    for (const file of files) file.write(new Uint8Array(8192), 0)
    for (let k = 0; k < 60; k++) {
      for (const [n, file] of files.entries()) file.writeThrough(bytes(`${n}${k % 10}`.repeat(40)), k * 80)
    }
    for (const [n, file] of files.entries()) {
      file.close()
      const found = fs.readFileSync(at(`f${n}`), 'latin1')
      const expected = Array.from({ length: 60 }, (_, k) => `${n}${k % 10}`.repeat(40)).join('')
      expect(found).toBe(expected.padEnd(8192, '\0'))
    }
  })

  it('writes through where the system has no such call, or too little of it', () => {
    const file = env.open(at('a'), 'create')
    const large = new Uint8Array(100_000).fill(7)
    file.write(new Uint8Array(120_000), 0)
    // A file of that name that is another one is not written to.
    fs.renameSync(at('a'), at('b'))
    fs.writeFileSync(at('a'), 'another')
    file.writeThrough(bytes('x'), 0)
    file.writeThrough(large, 1)
    file.close()
    expect(ioError(() => file.writeThrough(bytes('x'), 0)).errno).toBe('EBADF')
    expect(fs.readFileSync(at('a'), 'latin1')).toBe('another')
    const found = fs.readFileSync(at('b'))
    expect([found[0], found[1], found[100_000], found[100_001]]).toEqual([120, 7, 7, 0])
  })

  it('syncs later, even if the file is closed meanwhile', async () => {
    const file = env.open(at('a'), 'create')
    file.write(bytes('x'), 0)
    const syncs = [file.syncLater(), file.syncLater(), file.syncLater()]
    file.close()
    await Promise.all(syncs)
    expect(fs.readFileSync(at('a'), 'latin1')).toBe('x')
  })

  it('reports a full disk as such', { skip: !fs.existsSync('/dev/full') }, () => {
    const file = env.open('/dev/full', 'write')
    const error = ioError(() => file.write(bytes('x'), 0))
    expect(error).toBeInstanceOf(NoSpaceError)
    expect(error.message).toMatch(/^\/dev\/full: cannot write 1 bytes at byte 0: no space left on device \(ENOSPC\)$/)
    file.close()
  })

  it('keeps refusing to sync once that has failed', { skip: !fs.existsSync('/dev/full') }, async () => {
    // Character devices cannot be synced.
    const file = env.open('/dev/full', 'write')
    const first = ioError(() => file.sync())
    expect(first.errno).toBe('EINVAL')
    expect(ioError(() => file.writeThrough(bytes('x'), 0))).toBe(first)
    expect(ioError(() => file.sync())).toBe(first)
    await expect(file.syncLater()).rejects.toBe(first)
    file.close()
  })
})

describe('directories', () => {
  it('makes, lists, looks up, renames and removes', () => {
    env.makeDirectory(at('x/y'))
    env.makeDirectory(at('x/y'))
    for (const name of ['b', 'a', 'B']) env.open(at(`x/${name}`), 'create').close()
    expect(env.list(at('x'))).toEqual(['B', 'a', 'b', 'y'])
    expect(env.stat(at('x/y'))?.isDirectory).toBe(true)
    expect(env.stat(at('x/a'))).toEqual({ sizeBytes: 0, isDirectory: false })
    expect(env.stat(at('x/none'))).toBeNull()
    expect(env.stat(at('x/a/none'))).toBeNull()
    env.rename(at('x/a'), at('x/b'))
    env.syncDirectory(at('x'))
    expect(env.list(at('x'))).toEqual(['B', 'b', 'y'])
    env.remove(at('x/b'))
    env.remove(at('x/b'))
    expect(env.list(at('x'))).toEqual(['B', 'y'])
  })

  it('names path and reason in errors', () => {
    expect(ioError(() => env.list(at('none'))).message).toBe(
      `${at('none')}: cannot list: no such file or directory (ENOENT)`,
    )
    const error = ioError(() => env.rename(at('none'), at('other')))
    expect(error.message).toContain(`cannot rename to ${at('other')}`)
    expect([error.code, error.errno, error.path]).toEqual(['IO', 'ENOENT', at('none')])
    expect(ioError(() => env.syncDirectory(at('none'))).errno).toBe('ENOENT')
    fs.writeFileSync(at('file'), '')
    expect(ioError(() => env.makeDirectory(at('file'))).errno).toBe('EEXIST')
    expect(ioError(() => env.makeDirectory(at('file/x'))).path).toBe(at('file'))
  })

  it('takes a used-up quota for a full disk, and strange errors for input/output errors', () => {
    const quota = Object.assign(new Error('EDQUOT: disk quota exceeded, write'), { code: 'EDQUOT' })
    expect(failure(quota, 'f', 'cannot write')).toBeInstanceOf(NoSpaceError)
    expect(failure(new Error('odd'), 'f', 'cannot write')).toMatchObject({ code: 'IO', errno: 'EIO' })
  })
})

describe('mapping', () => {
  it('is refused when switched off', () => {
    fs.writeFileSync(at('a'), 'hello')
    expect(new NodeEnv({ mapping: 'off' }).map(at('a'))).toBeNull()
  })

  it('shows the bytes of a file, also when it is removed or empty; nothing, where it cannot be had', () => {
    fs.writeFileSync(at('a'), 'hello')
    fs.writeFileSync(at('empty'), '')
    if (!canMap()) return expect([env.map(at('a')), env.map(at('empty'))]).toEqual([null, null])
    const mapped = env.map(at('a'))
    env.remove(at('a'))
    expect(text(mapped!.bytes)).toBe('hello')
    expect(mapped!.bytes.constructor).toBe(Uint8Array)
    expect(mapped!.bytes.byteOffset % 64).toBe(0)
    expect(env.map(at('empty'))!.bytes.length).toBe(0)
    expect(ioError(() => env.map(at('none'))).errno).toBe('ENOENT')
  })

  it('lets any view keep the memory', async () => {
    fs.writeFileSync(at('a'), Buffer.alloc(1 << 20, 7))
    const bytes = canMap() ? env.map(at('a'))!.bytes : fs.readFileSync(at('a'))
    const view = new BigUint64Array(bytes.buffer, bytes.byteOffset + 64, 1000)
    // Enough garbage for collections, which would unmap what nobody refers to.
    for (let i = 0; i < 12; i++) {
      new Uint8Array(1 << 22).fill(i)
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(view.every(word => word === 0x0707070707070707n)).toBe(true)
  })
})

describe('clock', () => {
  it('tells the time, calls back and can be called off', async () => {
    expect(Math.abs(env.now() - Date.now())).toBeLessThan(1000)
    const calls: string[] = []
    env.after(1, () => calls.push('kept'))
    env.after(1, () => calls.push('called off'))()
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(calls).toEqual(['kept'])
  })
})
