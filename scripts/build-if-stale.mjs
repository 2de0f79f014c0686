/**
 * Builds if a source is newer than what was built from it, so that `npm start` runs what is there, and starts at once.
 * One process at a time: what another one has half written would be run by whoever did not wait.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What the build writes last. */
const LAST = 'dist/codegen/specialise/parsed.js'
const LOCK = join(root, 'dist/building')
const WAIT_MS = 200
/** No build takes so long: whoever had the lock is gone, and another process has its number. */
const LONGEST_MS = 300_000

const changed = path => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

function isStale() {
  const built = changed(LAST)
  const inputs = ['src', 'codegen', 'templates', 'demo'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true }).map(name => join(folder, name)),
  )
  return [...inputs, 'tsconfig.json'].some(path => changed(path) > built)
}

/** Does the process still run that builds? A lock that cannot be read is being given up. */
function isHeld() {
  try {
    process.kill(Number(readFileSync(LOCK, 'utf8')), 0)
    return Date.now() - changed('dist/building') < LONGEST_MS
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function lock() {
  mkdirSync(join(root, 'dist'), { recursive: true })
  for (let waits = 0; ; waits++) {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: 'wx' })
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (waits === 1) console.log(`Waiting for another process, which builds (${LOCK}) …`)
    if (isHeld()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS)
    else rmSync(LOCK, { force: true })
  }
}

if (isStale()) {
  lock()
  try {
    // Another process may have built what this one waited for.
    if (isStale()) {
      const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
      process.exitCode = status ?? 1
    }
  } finally {
    rmSync(LOCK, { force: true })
  }
}
