/**
 * `gnitz/storage`: the storage engine on its own, for programs that keep Z-sets larger than memory and want no views.
 *
 * A layout (`arrangedLayout(tableSchema(…), key)`) says how a table's rows lie; `kernelsOf` of `gnitz/codegen` makes the
 * code for it. `Storage.open` opens a directory, `createTable` makes a table, `commit` applies a transaction of
 * consolidated deltas (an `Arranger` makes them of rows in any order), and tables are read by key, by range and whole.
 * The bytes on disk are described in FORMAT.md beside this file.
 */
export { loadChecksum } from '../base/checksum.js'
export {
  CorruptionError,
  type ErrorCode,
  FormatError,
  GnitzError,
  IoError,
  KeyError,
  LockedError,
  NoSpaceError,
  UsageError,
  WeightOverflowError,
} from '../base/errors.js'
export type { Env, EnvFile, FileInfo, Lock, MappedFile, OpenMode } from '../env/env.js'
export { NodeEnv, type NodeEnvOptions } from '../env/node.js'
export {
  arrangedLayout,
  type Column,
  type ColumnSpec,
  type Layout,
  type RowSchema,
  rowSchema,
  type TableSchema,
  tableSchema,
} from '../schema/schema.js'
export type { TypeName } from '../schema/types.js'
export { Arranger } from '../zset/arrange.js'
export { Batch, type ColumnArray } from '../zset/batch.js'
export type { Kernels } from '../zset/kernels.js'
export { decodeString, encodeString } from '../zset/strings.js'
export type { Recovery, StorageEvent } from './context.js'
export { type EncryptionKey, type KeyId, type KeyProvider, passphraseKey, staticKeys } from './crypt/keys.js'
export { layoutOf } from './manifest/descriptor.js'
export { readManifest } from './manifest/manifest.js'
export { type KeyRange, keyRanges, ShardRegistry } from './manifest/registry.js'
export { type Change, type Commit, Storage, type StorageOptions, type TableOptions } from './storage.js'
export type { Tree } from './tree.js'
export type {
  FileId,
  Lsn,
  Manifest,
  PolicyName,
  ShardEntry,
  ShardIo,
  ShardSummary,
  TableDescriptor,
  TableEntry,
  TableId,
} from './types.js'
export { type Finding, type Verification, type VerifyOptions, verifyDirectory } from './verify.js'
export type { Durability } from './wal/wal.js'
export type { Cursor, KeyBounds, Snapshot, ZStore, ZStoreStats } from './zstore.js'
