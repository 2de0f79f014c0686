/**
 * Memory mapping through the optional package `mmap-io`, a native module; without it, or where the environment variable
 * GNITZ_NO_MMAP is 1, there is none.
 */
import { fstatSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The part of mmap-io that is used. */
interface MmapIo {
  readonly PROT_READ: number
  readonly MAP_SHARED: number
  map(sizeBytes: number, protection: number, flags: number, fd: number): Uint8Array
}

/** mmap-io takes sizes as signed 32-bit integers and does not check them. */
const MAX_SIZE_BYTES = 2 ** 31 - 1

const NOTHING = new Uint8Array(0)

let module: MmapIo | null | undefined

function load(): MmapIo | null {
  if (process.env.GNITZ_NO_MMAP === '1') return null
  try {
    return createRequire(import.meta.url)('mmap-io') as MmapIo
  } catch {
    return null
  }
}

/** Can files be mapped here at all? */
export function canMap(): boolean {
  if (module === undefined) module = load()
  return module !== null
}

/**
 * The bytes of an open file, or null if it cannot be mapped: no native module, a file of 2 GiB or more, a file system
 * that does not map. The file may be closed afterwards; the mapping goes when nobody refers to the bytes any more.
 * Writing to the bytes ends the process.
 */
export function mapWhole(fd: number): Uint8Array | null {
  if (!canMap()) return null
  const sizeBytes = fstatSync(fd).size
  // The operating system has no mappings of no bytes.
  if (sizeBytes === 0) return NOTHING
  if (sizeBytes > MAX_SIZE_BYTES) return null
  const { PROT_READ, MAP_SHARED, map } = module as MmapIo
  try {
    const buffer = map(sizeBytes, PROT_READ, MAP_SHARED, fd)
    // Not as a Buffer, whose `slice` does not copy.
    return new Uint8Array(buffer.buffer, buffer.byteOffset, sizeBytes)
  } catch {
    return null
  }
}
