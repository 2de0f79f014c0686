/**
 * Hashing of byte strings in memory, for tables that confirm equality afterwards. Nothing of it is ever written.
 *
 * Short strings are hashed here, a word at a time; long ones by `xxhash-wasm`, once it is loaded. Measured, in ns, at
 * 16 / 64 / 256 / 1,024 / 4,096 / 65,536 bytes: here 20 / 30 / 80 / 240 / 860 / 14,000; XXH64 190 / 190 / 220 / 245 /
 * 740 / 8,500, most of which is the way into the module's memory; XXH32 is never the fastest.
 */
import xxhash, { type XXHashAPI } from 'xxhash-wasm'

/** From this length on the library is faster. */
const LIBRARY_BYTES = 1024

let library: XXHashAPI | null = null
let loading: Promise<void> | null = null
const digest = new BigUint64Array(1)
const digestWords = new Uint32Array(digest.buffer)

/** Loads the library; without it, hashing is only slower. Later calls do nothing. */
export function loadStringHash(): Promise<void> {
  loading ??= xxhash().then(api => {
    library = api
  })
  return loading
}

/**
 * A 32-bit hash of bytes from..from + length of `view`. The same bytes have the same hash until the library is loaded,
 * and from then on. REQUIRES: `length >= 8`.
 */
export function hashString(view: DataView, from: number, length: number): number {
  if (length >= LIBRARY_BYTES && library !== null) {
    digest[0] = library.h64Raw(new Uint8Array(view.buffer, view.byteOffset + from, length))
    return digestWords[0]
  }
  const end = from + length
  let g = 0x9e3779b9
  let h = Math.imul(length, 0x85ebca6b)
  // Two chains of multiplications that do not wait for each other.
  for (let p = from; p + 8 <= end; p += 8) {
    g = Math.imul(g ^ view.getUint32(p, true), 0xc2b2ae35)
    g ^= g >>> 15
    h = Math.imul(h ^ view.getUint32(p + 4, true), 0x85ebca6b)
    h ^= h >>> 13
  }
  // The last eight bytes once more: some of them are in no whole pair of words.
  g = Math.imul(g ^ view.getUint32(end - 8, true), 0xc2b2ae35)
  h = Math.imul(h ^ view.getUint32(end - 4, true), 0x85ebca6b)
  h ^= (g << 7) | (g >>> 25)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
