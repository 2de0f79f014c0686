/** The command line: reads arguments, runs a command, turns errors into messages and exit codes. */
import { existsSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { GnitzError } from '../base/errors.js'
import { CliError } from './cli-error.js'
import { type InspectOptions, inspect, PARTS, type Part } from './inspect.js'
import type { Command } from './storage/command.js'
import { STORAGE_COMMANDS } from './storage/index.js'
import { Output, type Terminal } from './terminal.js'

const CALL_WIDTH = Math.max(...STORAGE_COMMANDS.map(({ summary: [call] }) => call.length))
const CALLS = STORAGE_COMMANDS.map(({ summary: [call, purpose] }) => `  gnitz ${call.padEnd(CALL_WIDTH)}  ${purpose}`)

const USAGE = `Usage: gnitz inspect <module.ts | module.js> [options]

Loads the module, compiles every view it exports in an empty database, and shows what will run.

  --view NAME   only this view (may be given several times)
  --plan        the plan as text
  --source      the generated JavaScript
  --dot         the plan as a Graphviz graph
  --svg         the plan as a picture
  --stats       the operators with their counters and state
                (without any of these: --plan --source)
  --out DIR     write files into DIR instead of the terminal
  --help        this text
  --version     the version of gnitz

Commands about a directory of the storage engine (gnitz <command> --help says more):

${CALLS.join('\n')}
`

/** Runs the command `args`. Returns its exit code: 0 done, 1 failed, 2 wrong usage. Never throws. */
export async function cli(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const storage = STORAGE_COMMANDS.find(({ name }) => name === args[0])
    if (storage !== undefined) return await runStorage(storage, args.slice(1), terminal)
    const command = parse(args)
    if (command === 'help') terminal.out(USAGE)
    else if (command === 'version') terminal.out(`${version()}\n`)
    else await inspect(command, terminal)
    return 0
  } catch (error) {
    terminal.err(`gnitz: ${describe(error)}\n`)
    return error instanceof CliError ? error.exitCode : 1
  }
}

async function runStorage(command: Command, args: readonly string[], terminal: Terminal): Promise<number> {
  const output = new Output(terminal)
  try {
    if (!args.includes('--help') && !args.includes('-h')) return await command.run(args, output)
    await output.line(command.usage)
    return 0
  } finally {
    output.flush()
  }
}

/** Errors of ours explain themselves; anything else comes from the user's module, where the stack helps. */
function describe(error: unknown): string {
  if (error instanceof CliError) return error.message
  if (!(error instanceof Error)) return String(error)
  return isOurs(error) ? `${error.name}: ${error.message}` : (error.stack ?? error.message)
}

/** Also when the module brings a gnitz of its own, whose classes are others. */
function isOurs(error: Error): boolean {
  for (let of = Object.getPrototypeOf(error); of !== null; of = Object.getPrototypeOf(of)) {
    if (of.constructor.name === GnitzError.name) return true
  }
  return false
}

function parse(args: readonly string[]): 'help' | 'version' | InspectOptions {
  const { values, positionals } = parseStrictly(args)
  if (values.help) return 'help'
  if (values.version) return 'version'
  const [command, module, ...rest] = positionals
  if (command === undefined) throw usageError('expected a command')
  if (command !== 'inspect') {
    const known = ['inspect', ...STORAGE_COMMANDS.map(c => c.name)].join(', ')
    throw usageError(`expected a command (${known}), found '${command}'`)
  }
  if (module === undefined) throw usageError('inspect: expected a module')
  if (rest.length > 0) throw usageError(`inspect: expected one module, found '${rest[0]}' too`)
  const chosen = PARTS.filter(part => values[part])
  const parts: readonly Part[] = chosen.length > 0 ? chosen : ['plan', 'source']
  return { module, views: values.view ?? [], parts, outDir: values.out ?? null }
}

function parseStrictly(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { ...flag, short: 'h' },
        version: { ...flag, short: 'v' },
        view: { type: 'string', multiple: true },
        plan: flag,
        source: flag,
        dot: flag,
        svg: flag,
        stats: flag,
        out: { type: 'string' },
      },
    })
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error))
  }
}

function usageError(problem: string): CliError {
  return new CliError(`${problem}\n\n${USAGE.trimEnd()}`, 2)
}

/** Of the package this file belongs to, be it run from `src` or from `dist`. */
function version(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    const file = new URL(up, import.meta.url)
    if (!existsSync(file)) continue
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string }
    if (name === 'gnitz' && version !== undefined) return version
  }
  throw new CliError('expected the package.json of gnitz beside its code, found none')
}
