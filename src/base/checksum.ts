/**
 * XXH3-64 (seed 0), the checksum of everything on disk but the value log (crc32c.ts). Two libraries can compute it: the native `xxhash-addon` where
 * it is installed, `hash-wasm` otherwise. Both are asked for a known digest before they are believed.
 *
 * Loading is asynchronous, so it happens once, at `loadChecksum`; computing is not.
 */
import { loadCrc32c } from './crc32c.js'
import { GnitzError, UsageError } from './errors.js'
import { LONGEST, SHORTEST, xxh3Short } from './xxh3-short.js'

export type ChecksumName = 'addon' | 'wasm'

/** One digest being computed. */
interface Hasher {
  update(bytes: Uint8Array): void
  /** Eight bytes, most significant first. The hasher is not used afterwards. */
  digest(): Uint8Array
}

interface Library {
  readonly name: ChecksumName
  hash(bytes: Uint8Array): Uint8Array
  hasher(): Hasher
}

let library: Library | null = null
let loading: Promise<void> | null = null

/** Loads the fastest library there is; later calls do nothing. Throws INTERNAL if there is none that works. */
export function loadChecksum(): Promise<void> {
  loading ??= Promise.all([load(), loadCrc32c()]).then(([found]) => {
    library ??= found
    isShortRight = checkShort(found)
  })
  return loading
}

/** Inputs up to this length are hashed faster without the way into native code: 0.3 µs against 0.5 µs. */
const SHORT_BYTES = 512

async function load(): Promise<Library> {
  const wasm = await wasmLibrary()
  try {
    const addon = await addonLibrary()
    return { ...addon, hash: bytes => (bytes.length <= SHORT_BYTES ? wasm : addon).hash(bytes) }
  } catch {
    // Not installed, or no binary for this platform.
    return wasm
  }
}

/** Switches to one library, for tests that compare them. Throws if it cannot be loaded. */
export async function useChecksum(name: ChecksumName): Promise<void> {
  library = await (name === 'addon' ? addonLibrary() : wasmLibrary())
}

/** Which library computes. Throws UsageError before `loadChecksum`. */
export function checksumName(): ChecksumName {
  return loaded().name
}

/** XXH3-64 of all bytes. Throws UsageError before `loadChecksum`. */
export function xxh3(bytes: Uint8Array): bigint {
  return toBigint(loaded().hash(bytes))
}

/** XXH3-64 of `length` bytes of a view. Throws UsageError before `loadChecksum`. */
export function xxh3At(view: DataView, at: number, length: number): bigint {
  if (isShortRight && length >= SHORTEST && length <= LONGEST) return xxh3Short(view, at, length)
  return xxh3(new Uint8Array(view.buffer, view.byteOffset + at, length))
}

/** False before anything is loaded, too. */
let isShortRight = false

/** Whether short inputs come out as the library has them, of every length. */
function checkShort(candidate: Library): boolean {
  const bytes = Uint8Array.from({ length: LONGEST }, (_, i) => i * 151 + (i >> 3))
  const view = new DataView(bytes.buffer)
  for (let length = SHORTEST; length <= LONGEST; length++) {
    if (xxh3Short(view, 0, length) !== toBigint(candidate.hash(bytes.subarray(0, length)))) return false
  }
  return true
}

/** XXH3-64 of bytes that come in pieces. Throws UsageError before `loadChecksum` and when used after `digest`. */
export class Xxh3 {
  private hasher: Hasher | null = loaded().hasher()

  update(bytes: Uint8Array): this {
    this.open().update(bytes)
    return this
  }

  /** The digest. Nothing can be added after it. */
  digest(): bigint {
    const digest = toBigint(this.open().digest())
    this.hasher = null
    return digest
  }

  private open(): Hasher {
    if (this.hasher === null) throw new UsageError('a checksum was used after its digest had been taken')
    return this.hasher
  }
}

function loaded(): Library {
  if (library === null) throw new UsageError('a checksum was asked for before loadChecksum() had resolved')
  return library
}

const digestView = new DataView(new ArrayBuffer(8))

/** A DataView of its own for every digest would take longer than hashing a small block. */
function toBigint(digest: Uint8Array): bigint {
  for (let i = 0; i < 8; i++) digestView.setUint8(i, digest[i])
  return digestView.getBigUint64(0)
}

const EMPTY_DIGEST = 0x2d06800538d394c2n

function verified(candidate: Library): Library {
  const found = toBigint(candidate.hash(new Uint8Array(0)))
  if (found === EMPTY_DIGEST) return candidate
  throw new GnitzError(
    'INTERNAL',
    `XXH3-64 of nothing is ${EMPTY_DIGEST.toString(16)}, but the ${candidate.name} library says ${found.toString(16)}`,
  )
}

/** Its declarations ask for Buffers, but it takes any Uint8Array. */
interface AddonXxh3 {
  new (seed: Uint8Array): Hasher
  hash(bytes: Uint8Array): Uint8Array
}

async function addonLibrary(): Promise<Library> {
  const { default: module } = await import('xxhash-addon')
  const addon = module.XXHash3 as unknown as AddonXxh3
  const seed = new Uint8Array(8)
  return verified({ name: 'addon', hash: bytes => addon.hash(bytes), hasher: () => new addon(seed) })
}

/**
 * hash-wasm makes its instances asynchronously, so digests in progress share one: its state is put aside when another
 * digest gets the instance and restored when the first one wants it back.
 */
async function wasmLibrary(): Promise<Library> {
  const { createXXHash3 } = await import('hash-wasm')
  const whole = await createXXHash3()
  const shared = await createXXHash3()
  let holder: WasmHasher | null = null

  class WasmHasher implements Hasher {
    private saved: Uint8Array | null = null

    update(bytes: Uint8Array): void {
      this.take()
      shared.update(bytes)
    }

    digest(): Uint8Array {
      this.take()
      holder = null
      return shared.digest('binary')
    }

    private take(): void {
      if (holder === this) return
      if (holder !== null) holder.saved = shared.save()
      if (this.saved === null) shared.init()
      else shared.load(this.saved)
      holder = this
    }
  }

  return verified({
    name: 'wasm',
    hash: bytes => whole.init().update(bytes).digest('binary'),
    hasher: () => new WasmHasher(),
  })
}
