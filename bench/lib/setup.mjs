// What a fresh clone lacks: the peers in bench/node_modules, and gnitz compiled
// to dist/.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const BENCH = fileURLToPath(new URL('..', import.meta.url))
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Something the bench needs is not there; the message says what to do. */
export class SetupError extends Error {}

function npm(args, cwd, env) {
  const run = spawnSync(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, {
    cwd,
    stdio: 'inherit',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
  })
  if (run.status !== 0) throw new SetupError(`npm ${args.join(' ')} failed in ${cwd} (its output is above)`)
}

/** Installs the peers once. */
export function installPeers() {
  if (existsSync(join(BENCH, 'node_modules', '.package-lock.json'))) return
  console.log('bench: installing the peers into bench/node_modules (once; a minute if SQLite must be compiled)')
  // Without a prebuilt binary better-sqlite3 is compiled; the headers of the Node that runs, if they are installed
  // beside it, save fetching them.
  const prefix = dirname(dirname(process.execPath))
  const headers = existsSync(join(prefix, 'include', 'node', 'node.h'))
  // Not `npm ci`: it insists on entries for DuckDB's binaries of every platform, which a registry need not carry.
  npm(['install', '--no-save', '--no-audit', '--no-fund'], BENCH, headers ? { npm_config_nodedir: prefix } : {})
}

function newest(path) {
  if (!existsSync(path)) return 0
  const s = statSync(path)
  if (!s.isDirectory()) return s.mtimeMs
  return Math.max(0, ...readdirSync(path).map(name => newest(join(path, name))))
}

/** Compiles gnitz if dist/ is missing or older than a source file. Throws with what to do if it cannot. */
export function buildGnitz() {
  const built = join(ROOT, 'dist', 'src', 'index.js')
  const sources = ['src', 'codegen', 'templates', 'tsconfig.json'].map(p => newest(join(ROOT, p)))
  if (existsSync(built) && newest(join(ROOT, 'dist')) >= Math.max(...sources)) return
  if (!existsSync(join(ROOT, 'node_modules')))
    throw new SetupError(`gnitz is not installed: run npm install in ${ROOT}`)
  console.log('bench: building gnitz')
  npm(['run', '--silent', 'build'], ROOT, {})
}
