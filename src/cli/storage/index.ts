/** The commands about directories of the storage engine. */
import { amplification } from './amplification.js'
import { check } from './check.js'
import type { Command } from './command.js'
import { manifest } from './manifest.js'
import { shard } from './shard.js'
import { verify } from './verify.js'
import { wal } from './wal.js'

export const STORAGE_COMMANDS: readonly Command[] = [manifest, shard, wal, verify, amplification, check]
