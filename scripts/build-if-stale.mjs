/** Builds if a source is newer than what was built from it, so that `npm start` runs what is there, and starts at once. */
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What the build writes last. */
const LAST = 'dist/codegen/specialise/parsed.js'

const changed = path => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

function isStale() {
  const built = changed(LAST)
  const inputs = ['src', 'codegen', 'templates', 'demo'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true }).map(name => join(folder, name)),
  )
  return [...inputs, 'tsconfig.json'].some(path => changed(path) > built)
}

if (isStale()) {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
}
