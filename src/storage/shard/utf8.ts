/**
 * Is a stretch of a heap well-formed UTF-8? Asked for millions of strings that may overlap, and in a heap that text
 * shares with arbitrary bytes, so the heap is looked at once and every question is then answered at once.
 *
 * Leading and continuation bytes differ, so which character a byte belongs to does not depend on where one starts to
 * read. A stretch is well-formed if no byte of it is stray and no character is cut at either end.
 */

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80

/** Bytes of the character at `at`, 0 if none is well-formed there (too long a form, a surrogate, beyond U+10FFFF). */
function characterBytes(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]
  if (first < 0x80) return 1
  const count = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  if (count === 0 || at + count > end) return 0
  const second = bytes[at + 1]
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < least || second > most) return 0
  for (let k = 2; k < count; k++) if (!isContinuation(bytes[at + k])) return 0
  return count
}

/** Whether the bytes from..to are well-formed UTF-8. */
export function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; ) {
    const count = characterBytes(bytes, at, to)
    if (count === 0) return false
    at += count
  }
  return true
}

/** First byte above 127, or the number of bytes. */
function asciiEnd(bytes: Uint8Array): number {
  let at = 0
  if (bytes.byteOffset % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
    let w = 0
    while (w < words.length && (words[w] & 0x80808080) === 0) w++
    at = w * 4
  }
  while (at < bytes.length && bytes[at] < 0x80) at++
  return at
}

/** Takes a quarter of the heap's size while there are stray bytes in it, else next to nothing. */
export class Utf8Index {
  private readonly asciiEnd: number
  /** A bit per byte: it is part of no character. Empty if there is no such byte. */
  private stray = new Uint32Array(0)
  /** Stray bytes before each word of `stray`. */
  private before = new Uint32Array(0)

  constructor(private readonly bytes: Uint8Array) {
    this.asciiEnd = asciiEnd(bytes)
    const { length } = bytes
    for (let at = this.asciiEnd; at < length; ) {
      const count = characterBytes(bytes, at, length)
      if (count === 0) this.markStray(at)
      at += count === 0 ? 1 : count
    }
    this.countStray()
  }

  private markStray(at: number): void {
    if (this.stray.length === 0) this.stray = new Uint32Array((this.bytes.length >>> 5) + 1)
    this.stray[at >>> 5] |= 1 << (at & 31)
  }

  private countStray(): void {
    this.before = new Uint32Array(this.stray.length)
    let sum = 0
    this.stray.forEach((word, w) => {
      this.before[w] = sum
      for (let rest = word; rest !== 0; rest &= rest - 1) sum++
    })
  }

  /** REQUIRES: `from + length` lies within the heap, `length > 0`. */
  isText(from: number, length: number): boolean {
    const end = from + length
    if (end <= this.asciiEnd) return true
    const { bytes } = this
    if (isContinuation(bytes[from])) return false
    // A continuation byte that is not stray belongs to a character, which then began before the end.
    if (end < bytes.length && isContinuation(bytes[end]) && !this.hasStray(end, end + 1)) return false
    return !this.hasStray(from, end)
  }

  private hasStray(from: number, end: number): boolean {
    const { stray, before } = this
    if (stray.length === 0) return false
    const first = from >>> 5
    const last = (end - 1) >>> 5
    const fromMask = -1 << (from & 31)
    const endMask = -1 >>> (31 - ((end - 1) & 31))
    if (first === last) return (stray[first] & fromMask & endMask) !== 0
    if ((stray[first] & fromMask) !== 0 || (stray[last] & endMask) !== 0) return true
    return before[last] !== before[first + 1]
  }
}
