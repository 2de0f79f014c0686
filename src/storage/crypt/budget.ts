/** Memory that decrypted shards may take together, kept as one number. */
export class MemoryBudget {
  private usedBytes = 0

  constructor(readonly limitBytes: number) {}

  hasRoom(bytes: number): boolean {
    return this.usedBytes + bytes <= this.limitBytes
  }

  /** Counts bytes that are in memory now, even where there is no room: a reader who wants all rows gets them. */
  take(bytes: number): void {
    this.usedBytes += bytes
  }

  give(bytes: number): void {
    this.usedBytes -= bytes
  }
}
