import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { checksumName, loadChecksum, useChecksum, Xxh3, xxh3, xxh3At } from '../../src/base/checksum.js'
import { Prng } from '../../src/base/prng.js'

function bytesOf(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.below(256))
}

beforeAll(() => loadChecksum())
afterAll(() => useChecksum('addon'))

const LENGTHS = [0, 1, 3, 8, 16, 17, 128, 129, 240, 241, 1023, 1024, 1025, 16384, 16385, 70000]

it('refuses to compute before it is loaded, then finds the native library', async () => {
  // Other tests of this process have loaded it.
  vi.resetModules()
  const fresh = await import('../../src/base/checksum.js')
  expect(() => fresh.xxh3(new Uint8Array(1))).toThrow(/loadChecksum/)
  expect(() => new fresh.Xxh3()).toThrow(/loadChecksum/)
  await fresh.loadChecksum()
  await fresh.loadChecksum()
  expect(fresh.checksumName()).toBe('addon')
})

it('has short inputs as the library has them, at any offset', () => {
  const prng = new Prng(3)
  for (let length = 0; length < 260; length++) {
    for (const bytes of [bytesOf(prng, length), new Uint8Array(length), new Uint8Array(length).fill(255)]) {
      const memory = new Uint8Array(length + 40).fill(7)
      const at = prng.below(40)
      memory.set(bytes, at)
      expect(xxh3At(new DataView(memory.buffer, 3), at - 3 < 0 ? 0 : at - 3, length)).toBe(
        xxh3(memory.subarray(at < 3 ? 3 : at, (at < 3 ? 3 : at) + length)),
      )
    }
  }
})

it('gives the same digests with both libraries', async () => {
  const inputs = LENGTHS.map(length => bytesOf(new Prng(length), length))
  await useChecksum('addon')
  const addon = inputs.map(xxh3)
  await useChecksum('wasm')
  expect(checksumName()).toBe('wasm')
  expect(inputs.map(xxh3)).toEqual(addon)
  expect(new Set(addon).size).toBe(LENGTHS.length)
})

describe.each(['addon', 'wasm'] as const)('%s', name => {
  beforeAll(() => useChecksum(name))

  it('knows the published digests', () => {
    expect(xxh3(new Uint8Array(0))).toBe(0x2d06800538d394c2n)
    expect(xxh3(new TextEncoder().encode('abc'))).toBe(0x78af5f94892f3950n)
  })

  it('digests pieces as it does the whole, whatever other digests are in progress', () => {
    const prng = new Prng(3)
    const streams = LENGTHS.map(length => {
      const bytes = bytesOf(prng, length)
      return { bytes, expected: xxh3(bytes), hash: new Xxh3(), at: 0 }
    })
    let open = streams.slice()
    while (open.length > 0) {
      const stream = prng.pick(open)
      const end = Math.min(stream.bytes.length, stream.at + prng.below(20000))
      stream.hash.update(stream.bytes.subarray(stream.at, end))
      stream.at = end
      if (prng.chance(0.2)) expect(xxh3(stream.bytes)).toBe(stream.expected)
      if (end === stream.bytes.length) {
        expect(stream.hash.digest()).toBe(stream.expected)
        open = open.filter(other => other !== stream)
      }
    }
  })

  it('refuses to go on after the digest', () => {
    const hash = new Xxh3().update(new Uint8Array(5))
    expect(hash.digest()).toBe(xxh3(new Uint8Array(5)))
    expect(() => hash.update(new Uint8Array(1))).toThrow(/after its digest/)
    expect(() => hash.digest()).toThrow(/after its digest/)
  })

  it('reads views at any offset, and over memory that is not its own', () => {
    const all = bytesOf(new Prng(9), 300)
    expect(xxh3(all.subarray(7, 260))).toBe(xxh3(all.slice(7, 260)))
    expect(xxh3(Buffer.from(all))).toBe(xxh3(all))
  })
})
