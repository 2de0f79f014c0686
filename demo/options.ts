/** The demo's command line. */
import { parseArgs } from 'node:util'
import { DEFAULT_DIRECTORY } from './directory.js'

export interface Options {
  readonly plain: boolean
  readonly help: boolean
  /** How many flights to replay; null: as many as the directory was made for, or all. */
  readonly rows: number | null
  /** Flights per transaction. */
  readonly batch: number
  /** Where the database lies; null: in memory. */
  readonly directory: string | null
  /** Empty the directory first. */
  readonly fresh: boolean
}

export const USAGE = `Replays three million US flights through live views, corrects some of them, and verifies every view.

  npm start -- [options]

  --rows N    replay the first N flights only (default: all 3,000,000, or as before)
  --batch N   flights per transaction (default: 10,000)
  --data DIR  where the database lies: a new or empty directory, or one of an earlier run, which is
              continued (default: data/demo beside package.json)
  --fresh     start over: empties the directory first
  --memory    no directory: the database is in memory, and gone at the end
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
      fresh: { type: 'boolean', default: false },
      memory: { type: 'boolean', default: false },
    },
  })
  if (values.memory && (values.data !== undefined || values.fresh)) {
    throw new Error(`--memory: expected no ${values.fresh ? '--fresh' : '--data'}, found both`)
  }
  return {
    plain: values.plain,
    help: values.help,
    rows: positive('--rows', values.rows, null),
    batch: positive('--batch', values.batch, 10_000),
    directory: values.memory ? null : (values.data ?? DEFAULT_DIRECTORY),
    fresh: values.fresh,
  }
}

function positive<D>(option: string, text: string | undefined, fallback: D): number | D {
  if (text === undefined) return fallback
  const value = Number(text.replaceAll(/[,_]/g, ''))
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new Error(`${option}: expected a whole number of at least 1, found '${text}'`)
  }
  return value
}
