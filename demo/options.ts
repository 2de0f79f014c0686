/** The demo's command line. */
import { parseArgs } from 'node:util'

export interface Options {
  readonly plain: boolean
  readonly help: boolean
  /** How many flights to replay; Infinity for all. */
  readonly rows: number
  /** Flights per transaction. */
  readonly batch: number
  /** Where the tables are to be kept on disk, or null. */
  readonly data: string | null
}

export const USAGE = `Replays three million US flights through live views, corrects some of them, and verifies every view.

  npm start -- [options]

  --rows N    replay the first N flights only (default: all 3,000,000)
  --batch N   flights per transaction (default: 10,000)
  --data DIR  keep the tables in DIR, too: a new or empty directory, or one of an earlier run
  --plain     plain lines instead of a live screen; the default when the output is not a terminal
  --help      this text`

/** Reads the arguments; throws an Error that says what is wrong with them. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      plain: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      rows: { type: 'string' },
      batch: { type: 'string' },
      data: { type: 'string' },
    },
  })
  return {
    plain: values.plain,
    help: values.help,
    rows: positive('--rows', values.rows, Number.POSITIVE_INFINITY),
    batch: positive('--batch', values.batch, 10_000),
    data: values.data ?? null,
  }
}

function positive(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text.replaceAll(/[,_]/g, ''))
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new Error(`${option}: expected a whole number of at least 1, found '${text}'`)
  }
  return value
}
