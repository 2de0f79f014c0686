/** What the commands about directories have in common: their options, and how they are read. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Lsn } from '../../storage/types.js'
import { CliError } from '../cli-error.js'
import type { Output } from '../terminal.js'

export interface Command {
  readonly name: string
  /** How it is called and what for, for the list of commands. */
  readonly summary: readonly [call: string, purpose: string]
  /** What `--help` says. */
  readonly usage: string
  /** Returns the exit code: 0, or 1 if a fault was found. Throws CliError and the errors of storage. */
  run(args: readonly string[], output: Output): Promise<number>
}

type Options = NonNullable<ParseArgsConfig['options']>
type Values = Readonly<Record<string, string | boolean | undefined>>

export type Moment = { readonly lsn: Lsn } | { readonly time: bigint }

/** 2026-01-31T12:00:00Z, with seconds or without, and with any zone. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$/

export interface Arguments {
  readonly paths: readonly string[]
  readonly json: boolean
  flag(name: string): boolean
  text(name: string): string | undefined
  /** A whole number, or the fallback. */
  count(name: string, fallback: number): number
  lsn(name: string): Lsn | undefined
  /** An LSN, or a time as microseconds since 1970. Throws CliError if the option is neither, or not there. */
  moment(name: string): Moment
}

/** Reads a command's arguments; `most` paths at most. Throws CliError (2) with the usage. */
export function readArguments(
  { name, usage }: Pick<Command, 'name' | 'usage'>,
  args: readonly string[],
  options: Options,
  most = 1,
): Arguments {
  const wrong = (problem: string) => new CliError(`${name}: ${problem}\n\n${usage}`, 2)
  let parsed: { values: object; positionals: string[] }
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, ...options },
    })
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error))
  }
  const { positionals: paths } = parsed
  const values = parsed.values as Values
  const text = (option: string) => values[option] as string | undefined
  const digits = (option: string): string | undefined => {
    const found = text(option)?.replaceAll(/[,_]/g, '')
    if (found === undefined || /^\d{1,20}$/.test(found)) return found
    throw wrong(`--${option}: expected a whole number, found '${text(option)}'`)
  }
  if (paths.length === 0) throw wrong('expected a path')
  if (paths.length > most) throw wrong(`expected one path, found '${paths[1]}' too`)
  return {
    paths,
    json: values.json === true,
    flag: option => values[option] === true,
    text,
    count: (option, fallback) => Number(digits(option) ?? fallback),
    lsn: option => {
      const found = digits(option)
      return found === undefined ? undefined : BigInt(found)
    },
    moment: option => {
      const given = text(option) ?? ''
      if (/^[\d,_]+$/.test(given)) return { lsn: BigInt(digits(option) ?? 0) }
      const milliseconds = TIME.test(given) ? Date.parse(given) : Number.NaN
      if (!Number.isNaN(milliseconds)) return { time: BigInt(milliseconds) * 1000n + microseconds(given) }
      throw wrong(
        `--${option}: expected the number of a transaction or a time like 2026-01-31T12:00:00Z, found '${given}'`,
      )
    },
  }
}

/** The digits of a time that `Date` leaves out. */
function microseconds(time: string): bigint {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? ''
  return BigInt(fraction.padEnd(6, '0').slice(3, 6))
}
