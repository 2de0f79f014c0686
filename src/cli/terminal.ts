/** Where a command writes, and the two forms in which commands about a directory say things. */
import { setImmediate } from 'node:timers/promises'

export interface Terminal {
  out(text: string): void
  err(text: string): void
}

/** This much is written at once; afterwards signals and closed pipes get a hearing. */
const CHUNK_CHARS = 1 << 16

/** Lines on their way to the terminal. */
export class Output {
  private waiting = ''

  constructor(private readonly terminal: Terminal) {}

  async line(text: string): Promise<void> {
    this.waiting += `${text}\n`
    if (this.waiting.length < CHUNK_CHARS) return
    this.flush()
    await setImmediate()
  }

  /** A JSON value on a line of its own. Integers of 64 bits are written as decimal strings. */
  async json(value: unknown): Promise<void> {
    await this.line(JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)))
  }

  flush(): void {
    if (this.waiting !== '') this.terminal.out(this.waiting)
    this.waiting = ''
  }
}
