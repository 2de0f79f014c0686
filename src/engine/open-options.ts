/** What `open` can be told, and what nobody can have meant. */
import { show, UsageError } from '../base/errors.js'
import { mustBeOptions } from '../base/options.js'
import { MAX_MS, oneOf } from '../storage/options.js'
import type { OpenOptions } from './database.js'
import type { OpenDirectoryOptions } from './open.js'

const NAMES: Readonly<Record<keyof OpenOptions, true>> = { mode: true, historyRows: true, clock: true }

const DIRECTORY_NAMES: Readonly<Record<keyof OpenDirectoryOptions, true>> = {
  ...NAMES,
  durability: true,
  intervalMs: true,
  memory: true,
  walBytes: true,
  checkpointMs: true,
  retain: true,
  udfs: true,
  encryption: true,
  valueThreshold: true,
  migrate: true,
  readOnly: true,
  io: true,
  onEvent: true,
  env: true,
}

/** Options of a database in memory. Throws UsageError. */
export function checkOpenOptions(options: OpenOptions): void {
  mustBeOptions('open', options, Object.keys(NAMES))
  checkMode(options)
}

/** Options of a directory that its storage does not check. Throws UsageError. */
export function checkDirectoryOptions(options: OpenDirectoryOptions): void {
  mustBeOptions('open', options, Object.keys(DIRECTORY_NAMES))
  checkMode(options)
  const { readOnly }: { readonly readOnly?: unknown } = options
  if (readOnly !== undefined && typeof readOnly !== 'boolean') {
    throw new UsageError(`option readOnly: expected true or false, found ${show(readOnly)}`)
  }
  const changing =
    readOnly === true ? (['migrate', 'clock'] as const).find(name => options[name] !== undefined) : undefined
  if (changing !== undefined) throw new UsageError(`option ${changing}: a database that is read only does not change`)
  for (const name of ['udfs', 'migrate'] as const) {
    const given: unknown = options[name]
    if (given === undefined || Array.isArray(given)) continue
    throw new UsageError(`option ${name}: expected an array, found ${show(given)}`)
  }
}

const checkMode = ({ mode = 'compiled' }: OpenOptions): void => oneOf('mode', mode, ['compiled', 'generic'])

/** Time between checkpoints. Throws UsageError if it is none. */
export function checkpointMsOf({ checkpointMs = 60_000 }: OpenDirectoryOptions): number {
  if (checkpointMs === Number.POSITIVE_INFINITY) return checkpointMs
  if (typeof checkpointMs === 'number' && checkpointMs >= 1 && checkpointMs <= MAX_MS) return checkpointMs
  const expected = `expected milliseconds from 1 to ${MAX_MS}, or Infinity for never`
  throw new UsageError(`option checkpointMs: ${expected}, found ${show(checkpointMs)}`)
}
