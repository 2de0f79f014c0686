/** Writing a shard: the vectors of a consolidated batch go to the file as they are, region by region. */
import { xxh3 } from '../../base/checksum.js'
import { assert, IoError, quote, UsageError } from '../../base/errors.js'
import type { Env, EnvFile } from '../../env/env.js'
import type { Batch } from '../../zset/batch.js'
import type { FileCipher } from '../crypt/keyring.js'
import type { ShardSummary, TableId } from '../types.js'
import { type Fault, findCellFault, findKeyFault, findWeightFault, HeapView } from './content.js'
import {
  encodeHead,
  isSealed,
  MAX_HEAP_BYTES,
  MAX_ROWS,
  placeRegions,
  type Region,
  type RegionSpec,
  regionName,
  regionSpecs,
} from './format.js'
import { sealRegion } from './sealed.js'
import { bytesOf } from './views.js'

export interface WriteOptions {
  /** Make the file's bytes durable before returning. Its name is durable once the directory is synced. */
  readonly sync: boolean
  /** Encrypts what is not keys and weights; null or absent: nothing is encrypted. */
  readonly cipher?: FileCipher | null
}

const MAX_TABLE_ID = 2 ** 32 - 1

/**
 * Writes `batch` to a new file; pointers in its heap stay pointers. No bytes are copied on the way, unless they are
 * encrypted; the batch is read once for the checks and checksums and
 * once for the writing.
 *
 * Throws UsageError for a batch that is not consolidated or not arranged, INTERNAL if its rows break what that means,
 * and IoError (NoSpaceError); the partial file is removed then, as far as that is possible. A file that was there
 * before is left alone.
 */
export function writeShard(
  env: Env,
  path: string,
  tableId: TableId,
  batch: Batch,
  { sync, cipher = null }: WriteOptions,
): ShardSummary {
  checkBatch(tableId, batch)
  const specs = regionSpecs(batch.layout)
  const parts: Uint8Array[] = []
  const regions = placeRegions(specs, batch.length, batch.heap.length, cipher).map((region, r): Region => {
    const plain = partOf(batch, region)
    const isClear = cipher === null || !isSealed({ sealing: cipher }, region)
    const bytes = isClear ? plain : sealRegion(cipher, tableId, r, plain)
    assert(bytes.length === region.sizeBytes, 'a region has the size that its place was computed from')
    parts.push(bytes)
    return { ...region, checksum: xxh3(bytes) }
  })
  const hasPointers = batch.heap.remote !== null
  const head = encodeHead(tableId, { rowCount: batch.length, hasPointers, sealing: cipher, regions })
  const last = regions[regions.length - 1]
  const sizeBytes = last.offset + last.sizeBytes
  const file = env.open(path, 'create')
  try {
    writeParts(file, head, regions, parts, sizeBytes)
    if (sync) file.sync()
    file.close()
  } catch (error) {
    removePartial(env, file)
    throw error
  }
  return {
    rowCount: batch.length,
    sizeBytes,
    minKey: keyOf(batch, 0),
    maxKey: keyOf(batch, batch.length - 1),
    checksum: xxh3(head),
    ...(cipher === null ? {} : { keyId: cipher.keyId }),
  }
}

function writeParts(
  file: EnvFile,
  head: Uint8Array,
  regions: readonly Region[],
  parts: readonly Uint8Array[],
  sizeBytes: number,
): void {
  // Extends the file with zeros, which is what the gaps between regions hold.
  file.truncate(sizeBytes)
  file.write(head, 0)
  regions.forEach(({ offset }, r) => {
    if (parts[r].length > 0) file.write(parts[r], offset)
  })
}

function removePartial(env: Env, file: EnvFile): void {
  try {
    file.close()
    env.remove(file.path)
  } catch (error) {
    // What is left over is collected when the directory is opened; the first failure is the one to report.
    if (!(error instanceof IoError)) throw error
  }
}

function partOf(batch: Batch, { kind, column, plainBytes: sizeBytes }: Region): Uint8Array {
  switch (kind) {
    case 'keys':
      return bytesOf(batch.keys, sizeBytes)
    case 'weights':
      return bytesOf(batch.weights, sizeBytes)
    case 'nulls':
      return bytesOf(batch.nulls, sizeBytes)
    case 'heap':
      return bytesOf(batch.heap.bytes, sizeBytes)
    default:
      return bytesOf(batch.columns[column?.index ?? -1], sizeBytes)
  }
}

function keyOf({ keys, length, layout }: Batch, row: number): bigint {
  if (length === 0) return 0n
  const { words } = layout.key
  return words === 1 ? keys[row] : (keys[row * 2 + 1] << 64n) | keys[row * 2]
}

/** What the reader will check, so that nothing is written that cannot be read. */
function checkBatch(tableId: TableId, batch: Batch): void {
  const { layout, length, heap, order } = batch
  const name = quote(layout.schema.name)
  if (layout.key.words === 0) throw new UsageError(`shard of ${name}: expected an arranged batch, found a flat one`)
  if (order !== 'consolidated') {
    throw new UsageError(`shard of ${name}: expected a consolidated batch, found a ${order} one`)
  }
  if (!Number.isInteger(tableId) || tableId < 1 || tableId > MAX_TABLE_ID) {
    throw new UsageError(`shard of ${name}: expected a table id from 1 to ${MAX_TABLE_ID}, found ${tableId}`)
  }
  if (length > MAX_ROWS) throw new UsageError(`shard of ${name}: expected at most ${MAX_ROWS} rows, found ${length}`)
  assert(heap.length <= MAX_HEAP_BYTES, 'a blob heap stays under 4 GiB')
  const [keySpec, weightSpec] = regionSpecs(layout)
  refuse(name, keySpec, findKeyFault(batch.keys32, layout.key.words, length))
  refuse(name, weightSpec, findWeightFault(batch.weights32, length))
  const heapView = new HeapView(heap.bytes.subarray(0, heap.length), heap.remote !== null)
  for (const spec of regionSpecs(layout)) {
    const { column } = spec
    if (column?.info.storage !== 'german') continue
    refuse(name, spec, findCellFault(batch.lanes[column.index], length, heapView, column.type === 'string'))
  }
}

function refuse(name: string, spec: RegionSpec, fault: Fault | null): void {
  assert(fault === null, `shard of ${name}: ${regionName(spec)}, row ${fault?.row}: ${fault?.problem}`)
}
