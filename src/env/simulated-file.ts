/**
 * A file of the simulated disk: what readers see now, what would be there after a power cut, and the changes between.
 *
 * A power cut keeps any subset of the changes that were not synced, in any order, and a write that it keeps may be
 * torn: cut off at a byte or a sector, or with some of its sectors missing.
 */
import type { Prng } from '../base/prng.js'

/** A disk writes this much at once, if anything. */
export const SECTOR_BYTES = 512

/** Bytes that grow. Beyond `sizeBytes` the buffer holds zeros. */
export class Content {
  private buffer: Uint8Array
  sizeBytes: number

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.buffer = bytes.slice()
    this.sizeBytes = bytes.length
  }

  copy(): Content {
    return new Content(this.buffer.subarray(0, this.sizeBytes))
  }

  bytes(): Uint8Array {
    return this.buffer.slice(0, this.sizeBytes)
  }

  read(into: Uint8Array, at: number): number {
    const end = Math.min(at + into.length, this.sizeBytes)
    if (at >= end) return 0
    into.set(this.buffer.subarray(at, end))
    return end - at
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return
    this.grow(at + bytes.length)
    this.buffer.set(bytes, at)
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) this.buffer.fill(0, sizeBytes, this.sizeBytes)
    else this.grow(sizeBytes)
    this.sizeBytes = sizeBytes
  }

  private grow(sizeBytes: number): void {
    if (sizeBytes > this.buffer.length) {
      const larger = new Uint8Array(Math.max(sizeBytes, 2 * this.buffer.length))
      larger.set(this.buffer)
      this.buffer = larger
    }
    this.sizeBytes = Math.max(this.sizeBytes, sizeBytes)
  }
}

/** A write, or with `bytes` null a truncation to `at` bytes. */
interface Change {
  readonly number: number
  readonly at: number
  readonly bytes: Uint8Array | null
}

export class SimulatedFile {
  readonly kind = 'file'

  private constructor(
    private readonly seen: Content,
    private readonly durable: Content,
    private pending: Change[],
    private changes: number,
  ) {}

  static of(bytes: Uint8Array = new Uint8Array(0)): SimulatedFile {
    return new SimulatedFile(new Content(bytes), new Content(bytes), [], 0)
  }

  get sizeBytes(): number {
    return this.seen.sizeBytes
  }

  /** Number of the latest change; `persist` takes it. */
  get latest(): number {
    return this.changes
  }

  bytes(): Uint8Array {
    return this.seen.bytes()
  }

  read(into: Uint8Array, at: number): number {
    return this.seen.read(into, at)
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length > 0) this.change({ number: ++this.changes, at, bytes: bytes.slice() })
  }

  truncate(sizeBytes: number): void {
    this.change({ number: ++this.changes, at: sizeBytes, bytes: null })
  }

  private change(change: Change): void {
    apply(change, this.seen)
    this.pending.push(change)
  }

  /** A sync: changes up to this one become durable. */
  persist(upTo: number): void {
    for (const change of this.pending) if (change.number <= upTo) apply(change, this.durable)
    this.pending = this.pending.filter(change => change.number > upTo)
  }

  /**
   * A sync that fails: of the changes up to this one some become durable and the others never will, whatever later
   * syncs say, although readers see them until the machine stops.
   */
  persistSome(upTo: number, prng: Prng): void {
    for (const change of this.pending) if (change.number <= upTo && prng.chance(0.5)) apply(change, this.durable)
    this.pending = this.pending.filter(change => change.number > upTo)
  }

  /** The same file in another world. */
  copy(): SimulatedFile {
    return new SimulatedFile(this.seen.copy(), this.durable.copy(), this.pending.slice(), this.changes)
  }

  /** The file after a power cut. */
  afterPowerCut(prng: Prng): SimulatedFile {
    if (this.pending.length === 0) return SimulatedFile.of(this.durable.bytes())
    const result = this.durable.copy()
    // Nothing and everything must come up often, in between all degrees of it.
    const odds = prng.pick([0, 0.5, 0.9, 1])
    const kept = this.pending.filter(() => prng.chance(odds))
    if (prng.chance(0.25)) prng.shuffle(kept)
    const tear = prng.chance(0.5)
    for (const change of kept) {
      if (tear && change.bytes !== null) applyTorn(change.bytes, change.at, result, prng)
      else apply(change, result)
    }
    if (prng.chance(0.25)) this.extend(result, prng)
    return SimulatedFile.of(result.bytes())
  }

  /** The size may become durable before the bytes do. */
  private extend(result: Content, prng: Prng): void {
    const sizes = this.pending.map(change => change.at + (change.bytes?.length ?? 0))
    const room = Math.max(...sizes) - result.sizeBytes
    if (room > 0) result.truncate(result.sizeBytes + 1 + prng.below(room))
  }
}

function apply(change: Change, content: Content): void {
  if (change.bytes === null) content.truncate(change.at)
  else content.write(change.bytes, change.at)
}

function applyTorn(bytes: Uint8Array, at: number, content: Content, prng: Prng): void {
  switch (prng.below(4)) {
    case 0:
      return content.write(bytes, at)
    case 1:
      return content.write(bytes.subarray(0, prng.below(bytes.length + 1)), at)
    case 2: {
      const end = at + prng.below(bytes.length + 1)
      return content.write(bytes.subarray(0, Math.max(0, end - (end % SECTOR_BYTES) - at)), at)
    }
    default: {
      for (let from = at; from < at + bytes.length; ) {
        const to = Math.min(at + bytes.length, from - (from % SECTOR_BYTES) + SECTOR_BYTES)
        if (prng.chance(0.5)) content.write(bytes.subarray(from - at, to - at), from)
        from = to
      }
    }
  }
}
