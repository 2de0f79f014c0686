/**
 * How much of the log is kept once its transactions are in shards: by that, earlier states can be gone back to. The log is
 * kept as far as every limit allows, in whole segments.
 */
export interface Retention {
  /** At most so many bytes. */
  readonly bytes: number
  /** At least what is younger than this. */
  readonly milliseconds: number
  /** At least so many transactions. */
  readonly transactions: number
}

/** Nothing is kept that a restart does not need. */
export const NO_RETENTION: Retention = {
  bytes: 0,
  milliseconds: Number.POSITIVE_INFINITY,
  transactions: Number.POSITIVE_INFINITY,
}

/** A directory should not have more files than this because many of them are small. */
export const MAX_SEGMENTS = 1024

/** Into so many segments is divided what a time or a number of transactions says. */
export const PARTS = 8

/** Where the log begins. */
export interface LogStart {
  /** Every transaction after this one is in the log. */
  readonly lsn: bigint
  /** Of the first one, in microseconds since 1970; null if there is none yet, or if the log does not say. */
  readonly time: bigint | null
}
