// What the programs beside run.mjs (scaling, memory, kernels, compile, gc,
// storage, constraints, nexmark) share: their options, and children that each measure one case.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * { quick, json, only, events, runs, case }: `case` is the argument of a child, parsed, or null in the parent; `only` a
 * list or null; `events` and `runs` numbers or null.
 */
export function topicOptions(argv = process.argv.slice(2)) {
  const value = name => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : null)
  const one = value('--case')
  const only = value('--only')?.split(',') ?? null
  const number = name => (value(name) === null ? null : Number(value(name)))
  return {
    quick: argv.includes('--quick'),
    json: value('--json'),
    only,
    events: number('--events'),
    runs: number('--runs'),
    case: one === null ? null : JSON.parse(one),
  }
}

/** Runs the calling program again, in a process of its own, for one case; returns what it gave to `answer`. */
export function measureApart(metaUrl, one) {
  const args = ['--expose-gc', '--max-old-space-size=8192', fileURLToPath(metaUrl), '--case', JSON.stringify(one)]
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (run.status !== 0)
    throw new Error(`the case ${JSON.stringify(one)} failed with exit code ${run.status ?? run.signal}`)
  return JSON.parse(run.stdout.slice(run.stdout.lastIndexOf('\n', run.stdout.length - 2) + 1))
}

/** What a child found, for `measureApart`. */
export function answer(value) {
  process.stdout.write(JSON.stringify(value) + '\n')
}

export function writeJson(file, value) {
  if (file === null) return
  writeFileSync(file, JSON.stringify(value, null, 1) + '\n')
  console.log(`\nfigures written to ${file}`)
}

export const quantile = (values, q) => {
  const s = Float64Array.from(values).sort()
  return s[Math.min(s.length - 1, Math.max(0, Math.ceil(q * s.length) - 1))]
}

export const mark = ok => (ok ? '✓' : '✗')
