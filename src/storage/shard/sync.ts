/** Making a shard durable, also when that has failed before. */
import type { Env, EnvFile } from '../../env/env.js'
import type { Shard } from './reader.js'
import { verifyShard } from './verify.js'

const COPY_BYTES = 1024 * 1024

/**
 * Makes a shard's bytes durable. `again`: a sync of it has failed. After that the system may hold pages that look clean
 * and were never written, or may have dropped them; so everything is written once more, and checked. Throws IoError,
 * and CorruptionError if the bytes are no longer what they were.
 */
export function syncShard(env: Env, shard: Shard, again: boolean): void {
  const file = env.open(shard.path, 'write')
  try {
    if (again) {
      rewrite(file)
      verifyShard(shard)
    }
    file.sync()
  } finally {
    file.close()
  }
}

function rewrite(file: EnvFile): void {
  const sizeBytes = file.size()
  const copy = new Uint8Array(Math.min(sizeBytes, COPY_BYTES))
  for (let at = 0; at < sizeBytes; at += COPY_BYTES) {
    const count = file.read(copy.subarray(0, Math.min(COPY_BYTES, sizeBytes - at)), at)
    file.write(copy.subarray(0, count), at)
  }
}
