/**
 * Order-preserving bytes of single values, as nested values are made of: comparing two encodings of one type byte by
 * byte compares the values, and no encoding is the beginning of another. Integers lie big-endian with the sign bit
 * turned; floats as in packed keys; text and bytes with 0 written as 0 255, ended by 0 1.
 */

/** Bytes that grow. */
export class ByteWriter {
  private bytes = new Uint8Array(64)
  private view = new DataView(this.bytes.buffer)
  length = 0

  private room(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length))
      grown.set(this.bytes)
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    return at
  }

  u8(value: number): void {
    const at = this.room(1)
    this.bytes[at] = value
  }

  /** An unsigned number of 1, 2 or 4 bytes. */
  unsigned(value: number, width: number): void {
    const at = this.room(width)
    if (width === 1) this.view.setUint8(at, value)
    else if (width === 2) this.view.setUint16(at, value)
    else this.view.setUint32(at, value)
  }

  u64(value: bigint): void {
    const at = this.room(8)
    this.view.setBigUint64(at, value)
  }

  f64(value: number): void {
    floats.setFloat64(0, value)
    const bits = floats.getBigUint64(0)
    this.u64(bits & SIGN_64 ? ~bits : bits | SIGN_64)
  }

  f32(value: number): void {
    floats.setFloat32(0, value)
    const bits = floats.getUint32(0)
    this.unsigned((bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0, 4)
  }

  /** Any bytes: escaped and ended. */
  text(value: Uint8Array): void {
    let zeros = 0
    for (const byte of value) if (byte === 0) zeros++
    let at = this.room(value.length + zeros + 2)
    for (const byte of value) {
      this.bytes[at++] = byte
      if (byte === 0) this.bytes[at++] = 255
    }
    this.bytes[at] = 0
    this.bytes[at + 1] = 1
  }

  /** An integer of any size: how many bytes it has, signed and offset by 128, and these, turned over if negative. */
  integer(value: bigint): void {
    const size = value < 0n ? -value : value
    let count = 0
    for (let rest = size; rest > 0n; rest >>= 8n) count++
    this.u8(value < 0n ? 128 - count : 128 + count)
    for (let n = count - 1; n >= 0; n--) {
      const byte = Number((size >> BigInt(n * 8)) & 255n)
      this.u8(value < 0n ? 255 - byte : byte)
    }
  }

  raw(value: Uint8Array): void {
    const at = this.room(value.length)
    this.bytes.set(value, at)
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}

const SIGN_64 = 1n << 63n
const floats = new DataView(new ArrayBuffer(8))

/** Thrown by `ByteReader` where bytes are no encoding. */
export class BadBytes extends Error {}

/** Reads what `ByteWriter` wrote. Methods throw BadBytes at the end and on what no writer writes. */
export class ByteReader {
  private readonly view: DataView
  readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  private take(count: number): number {
    const { at } = this
    if (at + count > this.bytes.length) throw new BadBytes('ends too soon')
    this.at += count
    return at
  }

  skip(count: number): void {
    this.take(count)
  }

  u8(): number {
    return this.bytes[this.take(1)]
  }

  unsigned(width: number): number {
    const at = this.take(width)
    return width === 1 ? this.bytes[at] : width === 2 ? this.view.getUint16(at) : this.view.getUint32(at)
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8))
  }

  f64(): number {
    const bits = this.u64()
    floats.setBigUint64(0, bits & SIGN_64 ? bits ^ SIGN_64 : ~bits)
    return floats.getFloat64(0)
  }

  f32(): number {
    const bits = this.unsigned(4)
    floats.setUint32(0, (bits & 0x80000000 ? bits ^ 0x80000000 : ~bits) >>> 0)
    return floats.getFloat32(0)
  }

  text(): Uint8Array {
    const from = this.at
    this.skipText()
    const escaped = this.bytes.subarray(from, this.at - 2)
    if (!escaped.includes(0)) return escaped.slice()
    return escaped.filter((byte, i) => byte !== 255 || i === 0 || escaped[i - 1] !== 0)
  }

  skipText(): void {
    for (;;) {
      const zero = this.bytes.indexOf(0, this.at)
      if (zero < 0) throw new BadBytes('text without an end')
      this.at = zero + 1
      const next = this.u8()
      if (next === 1) return
      if (next !== 255) throw new BadBytes('a byte that no text has')
    }
  }

  integer(): bigint {
    const head = this.u8()
    const count = Math.abs(head - 128)
    let size = 0n
    for (let n = 0; n < count; n++) size = (size << 8n) | BigInt(head < 128 ? 255 - this.u8() : this.u8())
    return head < 128 ? -size : size
  }

  get done(): boolean {
    return this.at === this.bytes.length
  }
}
