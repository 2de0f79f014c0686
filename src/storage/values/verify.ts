/** Checks value logs from end to end: every record, and that the manifest counts what shards refer to. */
import { CorruptionError } from '../../base/errors.js'
import { type Env, joinPath } from '../../env/env.js'
import type { Batch } from '../../zset/batch.js'
import { type ShardEntry, shardFile, type ValueFileEntry, valueFile } from '../types.js'
import type { Findings } from '../verify.js'
import { BLOCK_BYTES } from './format.js'
import type { ValueReader } from './reader.js'
import { scanRecords } from './scan.js'
import { referencesOf } from './separate.js'

export interface ValueSummary {
  readonly files: number
  readonly records: number
  readonly sizeBytes: number
}

/** Throws what `Findings.guard` throws. `onFile` hears of each file. */
export function verifyValues(
  env: Env,
  directory: string,
  listed: readonly ValueFileEntry[],
  findings: Findings,
  onFile: (file: string) => void,
): ValueSummary {
  let records = 0
  let sizeBytes = 0
  for (const { fileId, sizeBytes: end } of listed) {
    const path = joinPath(directory, valueFile(fileId))
    onFile(path)
    findings.guard(() => {
      const file = env.open(path, 'read')
      try {
        const size = file.size()
        if (size < end) throw new CorruptionError(path, size, `expected ${end} bytes, found ${size} bytes`)
        for (const _ of scanRecords(file, Number(fileId), BLOCK_BYTES, end)) records++
        if (size > end)
          findings.note(path, end, 'bytes after the last checkpoint: a writer is at work, or a crash left them')
      } finally {
        file.close()
      }
    })
    sizeBytes += end
  }
  return { files: listed.length, records, sizeBytes }
}

/** Throws CorruptionError if the manifest counts other bytes than the shard refers to. */
export function checkReferences(entry: ShardEntry, rows: Batch, values: ValueReader, manifestPath: string): void {
  const text = ({ references = [] }: Pick<ShardEntry, 'references'>) =>
    references.map(r => `${r.bytes} bytes of ${valueFile(r.fileId)}`).join(', ') || 'no value log'
  const [expected, found] = [text(entry), text(referencesOf(rows, values))]
  if (expected === found) return
  const problem = `${shardFile(entry.fileId)} refers to ${found}, but is listed with ${expected}`
  throw new CorruptionError(manifestPath, null, problem)
}
