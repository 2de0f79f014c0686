/** Key words of single rows, where no kernel is needed. REQUIRES: layouts with keys of as many words. */
import type { Batch } from './batch.js'

/** Orders two rows by their key words alone: negative, 0, positive. */
export function compareKeys(a: Batch, i: number, b: Batch, j: number): number {
  const lanes = a.layout.key.words * 2
  for (let l = lanes - 1; l >= 0; l--) {
    const x = a.keys32[i * lanes + l]
    const y = b.keys32[j * lanes + l]
    if (x !== y) return x < y ? -1 : 1
  }
  return 0
}

/** Are the key words of two rows the same? */
export function sameKey(a: Batch, i: number, b: Batch, j: number): boolean {
  const lanes = a.layout.key.words * 2
  for (let l = 0; l < lanes; l++) if (a.keys32[i * lanes + l] !== b.keys32[j * lanes + l]) return false
  return true
}
