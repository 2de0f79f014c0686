/** What all phases of the demo share: the screen, and the moment between two steps where Ctrl-C is heard. */
import { setImmediate } from 'node:timers/promises'
import type { Frame, Panel } from './layout.js'
import type { Screen } from './screen.js'

/** What a phase says about itself. */
export type Progress = Omit<Frame, 'title' | 'panels'>

export class Stage {
  /** Reads the tables that stand below the progress bar. */
  panels: () => readonly Panel[] = () => []
  readonly #title: string
  readonly #screen: Screen
  readonly #signal: AbortSignal

  constructor(title: string, screen: Screen, signal: AbortSignal) {
    this.#title = title
    this.#screen = screen
    this.#signal = signal
  }

  /** One more step is done. Lets signals in; rejects with the signal's reason when the demo is to stop. */
  async step(progress: () => Progress): Promise<void> {
    this.#screen.update(() => this.#frame(progress()))
    await setImmediate()
    this.#signal.throwIfAborted()
  }

  /** The phase is over: its last figures are shown. */
  finish(progress: Progress): void {
    this.#screen.finish(() => this.#frame(progress))
  }

  #frame(progress: Progress): Frame {
    const { panels } = this
    return {
      title: this.#title,
      ...progress,
      // Whoever does not show them does not read the views.
      get panels() {
        return panels()
      },
    }
  }
}
