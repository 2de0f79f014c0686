/**
 * XXH3-64 (seed 0) of 17 to 128 bytes, as the specification of xxHash has it: the log has two such inputs for each
 * transaction of one row, and the way into a library costs three times as much as the hash (0.2 against 0.7 µs).
 * `loadChecksum` holds it against the library before it is used.
 *
 * 64-bit values stay machine integers as long as every operation is under `asUintN` and sums are kept in an array.
 */

export const SHORTEST = 17
export const LONGEST = 128

/** The first 128 bytes of the default secret, as u64. */
const SECRET = BigUint64Array.of(
  ...[0xbe4ba423396cfeb8n, 0x1cad21f72c81017cn, 0xdb979083e96dd4den, 0x1f67b3b7a4a44072n],
  ...[0x78e5c0cc4ee679cbn, 0x2172ffcc7dd05a82n, 0x8e2443f7744608b8n, 0x4c263a81e69035e0n],
  ...[0xcb00c391bb52283cn, 0xa32e531b8b65d088n, 0x4ef90da297486471n, 0xd8acdea946ef1938n],
  ...[0x3f349ce33f76faa8n, 0x1d4f0bc7c7bbdcf9n, 0x3159b4cd4be0518an, 0x647378d9c97e9fc8n],
)
const LOW = 0xffffffffn

const sum = new BigUint64Array(1)

/** REQUIRES: SHORTEST ≤ length ≤ LONGEST; the bytes are there. */
export function xxh3Short(view: DataView, at: number, length: number): bigint {
  const end = at + length
  sum[0] = BigInt.asUintN(64, BigInt(length) * 0x9e3779b185ebca87n)
  if (length > 32) {
    if (length > 64) {
      if (length > 96) {
        mix(view, at + 48, 12)
        mix(view, end - 64, 14)
      }
      mix(view, at + 32, 8)
      mix(view, end - 48, 10)
    }
    mix(view, at + 16, 4)
    mix(view, end - 32, 6)
  }
  mix(view, at, 0)
  mix(view, end - 16, 2)
  sum[0] = BigInt.asUintN(64, sum[0] ^ BigInt.asUintN(64, sum[0] >> 37n))
  sum[0] = BigInt.asUintN(64, sum[0] * 0x165667919e3779f9n)
  return BigInt.asUintN(64, sum[0] ^ BigInt.asUintN(64, sum[0] >> 32n))
}

/** Adds both halves, xored, of the 128-bit product of two words, each xored with a word of the secret. */
function mix(view: DataView, at: number, s: number): void {
  const a = BigInt.asUintN(64, view.getBigUint64(at, true) ^ SECRET[s])
  const b = BigInt.asUintN(64, view.getBigUint64(at + 8, true) ^ SECRET[s + 1])
  const a0 = BigInt.asUintN(64, a & LOW)
  const a1 = BigInt.asUintN(64, a >> 32n)
  const b0 = BigInt.asUintN(64, b & LOW)
  const b1 = BigInt.asUintN(64, b >> 32n)
  const low = BigInt.asUintN(64, a0 * b0)
  const left = BigInt.asUintN(64, a1 * b0)
  const right = BigInt.asUintN(64, a0 * b1)
  const high = BigInt.asUintN(64, a1 * b1)
  const carried = BigInt.asUintN(64, BigInt.asUintN(64, low >> 32n) + BigInt.asUintN(64, left & LOW))
  const cross = BigInt.asUintN(64, carried + right)
  const top = BigInt.asUintN(64, BigInt.asUintN(64, left >> 32n) + BigInt.asUintN(64, cross >> 32n))
  const upper = BigInt.asUintN(64, top + high)
  const lower = BigInt.asUintN(64, BigInt.asUintN(64, cross << 32n) | BigInt.asUintN(64, low & LOW))
  sum[0] = BigInt.asUintN(64, sum[0] + BigInt.asUintN(64, upper ^ lower))
}
