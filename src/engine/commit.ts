/** What a transaction gives back. */

/** A transaction that is durable, as far as the database was asked to see to it. */
export interface Committed {
  readonly lsn: bigint
}

/**
 * A transaction whose effects can be seen. Waiting for it (`await db.transact(…)`) waits until it is as durable as the
 * database's `durability` says; in memory that is at once. It rejects with IoError if it could not be made durable; then
 * it has been taken back, or, where a sync failed, nobody knows until the directory is opened again.
 */
export class Commit implements PromiseLike<Committed> {
  constructor(
    readonly lsn: bigint,
    private readonly durable: Promise<void> | null,
  ) {}

  // biome-ignore lint/suspicious/noThenProperty: waiting for a transaction is what a caller means by `await`.
  then<A = Committed, B = never>(
    resolved?: ((committed: Committed) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const { lsn } = this
    return (this.durable ?? Promise.resolve()).then(() => ({ lsn })).then(resolved, rejected)
  }
}
