/**
 * Whether a round of the log, a write and a sync, may hold up the whole process. A sync in the background costs a fifth
 * more, from which nobody gains while one caller commits one transaction after the other and no one else does. Others have
 * their turn every so often; if they write, there is more than one transaction in the round that follows.
 */

/** After so many rounds in which one caller was alone, it is not made to wait for another thread. */
const ALONE_ROUNDS = 4
/** After so many rounds more, or milliseconds of syncing, everything else in the process has its turn before the next. */
const YIELD_ROUNDS = 8
const YIELD_MS = 2
/** A disk whose syncs mostly take longer does not hold up everybody. */
const SLOW_MS = 2
/** What one sync counts when it is judged whether most are slow. */
const SLOW_SHARE = 1 / 16

export class Rounds {
  /** Background rounds with one transaction during which no other came. */
  private alone = 0
  /** Rounds that held up everybody since others had their turn, and for how long. */
  private blocked = 0
  private blockedMs = 0
  /** Which part of the last syncs was slow, roughly. */
  private slowShare = 0

  /** May the sync of a write with so many transactions be waited for? */
  mayBlock(transactions: number): boolean {
    return transactions === 1 && this.slowShare <= 0.5 && this.alone >= ALONE_ROUNDS
  }

  /** Is it time for others? */
  get oweOthers(): boolean {
    return this.blocked >= YIELD_ROUNDS || this.blockedMs >= YIELD_MS
  }

  /** Others have had their turn. */
  yielded(): void {
    this.blocked = 0
    this.blockedMs = 0
  }

  /** A sync that held up everybody has ended. */
  hasBlocked(tookMs: number): void {
    this.blocked++
    this.blockedMs += tookMs
    this.took(tookMs)
  }

  /** A sync in the background has ended; `isAlone`: it was of one transaction, and no other came meanwhile. */
  wasInBackground(tookMs: number, isAlone: boolean): void {
    this.yielded()
    this.alone = isAlone ? this.alone + 1 : 0
    this.took(tookMs)
  }

  private took(tookMs: number): void {
    this.slowShare += (Number(tookMs > SLOW_MS) - this.slowShare) * SLOW_SHARE
  }
}
