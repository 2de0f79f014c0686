/** How what is wrong with a region reads. */
import { CorruptionError } from '../../base/errors.js'
import type { Fault } from './content.js'
import { type Region, regionName } from './format.js'

/** Throws CorruptionError if a region's bytes have another checksum than the directory says. */
export function compareChecksums(path: string, region: Region, found: bigint): void {
  if (found === region.checksum) return
  const problem = `${regionName(region)}: checksum: expected ${hex(region.checksum)}, found ${hex(found)}`
  throw new CorruptionError(path, region.offset, problem)
}

/** Throws CorruptionError if there is a fault in a region, with the place of the row. `from`: row that counts as 0. */
export function refuse(path: string, region: Region, fault: Fault | null, from = 0): void {
  if (fault === null) return
  const row = from + fault.row
  const problem = `${regionName(region)}, row ${row}: ${fault.problem}`
  throw new CorruptionError(path, region.offset + row * region.bytesPerRow, problem)
}

export function hex(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`
}
