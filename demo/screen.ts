/** Where frames go: a terminal that is redrawn in place, or plain lines for a pipe, a file or `--plain`. */
import { ANSI, type Frame, PLAIN, renderFrame, renderPanel } from './layout.js'

export interface Screen {
  /** Shows progress. `frame` is only called when it is time to draw again, so it may read whole views. */
  update(frame: () => Frame): void
  /** Shows the last state of a phase, in any case. */
  finish(frame: () => Frame): void
  /** Gives the terminal back. Lines can be printed from then on. Calling it again does nothing. */
  close(): void
}

/** The part of a terminal or file that a screen needs; `process.stdout` is one. */
export interface Output {
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

const FRAME_MS = 200
/** Drawing takes no more than about a tenth of the time, if that leaves a frame a second. */
const PAUSE_PER_DRAWING = 9
const MAX_PAUSE_MS = 1000

/** When it is time to draw again. */
class Pace {
  #nextAt = Number.NEGATIVE_INFINITY

  get isDue(): boolean {
    return performance.now() >= this.#nextAt
  }

  /** Draws, now. */
  draw(work: () => void): void {
    const start = performance.now()
    work()
    const end = performance.now()
    this.#nextAt = end + Math.min(MAX_PAUSE_MS, Math.max(FRAME_MS, PAUSE_PER_DRAWING * (end - start)))
  }
}
const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'

/** Redraws the alternate screen of a terminal at most five times a second. */
export class LiveScreen implements Screen {
  readonly #output: Output
  readonly #pace = new Pace()
  #open = true

  constructor(output: Output) {
    this.#output = output
    output.write(ENTER)
  }

  update(frame: () => Frame): void {
    if (this.#pace.isDue) this.finish(frame)
  }

  finish(frame: () => Frame): void {
    if (!this.#open) return
    this.#pace.draw(() => {
      const { columns = 80, rows = 24 } = this.#output
      const lines = renderFrame(frame(), columns, rows - 1, ANSI)
      // Each line erases what was right of it, the last one everything below: nothing flickers.
      this.#output.write(`\x1b[H${lines.map(line => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
    })
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#output.write(LEAVE)
  }
}

/** One line per tenth of a phase, and the tables once, when the first phase that has some is over. */
export class PlainScreen implements Screen {
  readonly #output: Output
  readonly #pace = new Pace()
  #phase = ''
  #tenth = 0
  #tablesShown = false

  constructor(output: Output) {
    this.#output = output
  }

  update(frame: () => Frame): void {
    if (!this.#pace.isDue) return
    this.#pace.draw(() => {
      const state = frame()
      const tenth = state.total === 0 ? 0 : Math.floor((10 * state.done) / state.total)
      if (state.phase === this.#phase && tenth <= this.#tenth) return
      this.#phase = state.phase
      this.#tenth = tenth
      this.#line(state)
    })
  }

  finish(frame: () => Frame): void {
    const state = frame()
    this.#line(state)
    this.#phase = ''
    if (this.#tablesShown) return
    const { panels } = state
    if (panels.length === 0) return
    this.#tablesShown = true
    const tables = panels.map(panel => renderPanel(panel, 120, PLAIN).join('\n'))
    this.#output.write(`\n${tables.join('\n\n')}\n\n`)
  }

  close(): void {}

  #line({ phase, done, total, position, facts }: Frame): void {
    const percent = total === 0 ? 100 : Math.floor((100 * done) / total)
    const parts = [phase.padEnd(12), `${String(percent).padStart(3)} %`, position, facts]
    this.#output.write(`${parts.filter(part => part !== '').join('  ')}\n`)
  }
}
