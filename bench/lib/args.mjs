// The command line of `npm run bench`. Unknown words and options are errors.
import { WORKLOADS } from './data.mjs'

export const TOPICS = ['scaling', 'memory', 'kernels', 'compile', 'gc', 'storage', 'constraints', 'durable', 'nexmark']

export const HELP = `usage: npm run bench -- [workload ...] [options]
       npm run bench -- ${TOPICS.join(' | ')}  [--quick] [--json FILE] [--only PARTS]

Measures gnitz beside other engines, one process per engine and workload, checks every result and prints the
ratios against the targets. Without arguments: W1 to W6 with the faster engines, about eight minutes.

workloads    w1 filter+map   w2 group-by   w3 join   w4 join+aggregate   w5 min/max   w6 top-3   w7 closure

options
  --engines a,b   only these engines (a comma-separated list of names)
  --all           every engine that is installed, and W7 (more than an hour)
  --scale X       fraction of the data, 0 < X <= 1 (1)
  --runs N        runs of every combination; medians count (3, or 1 where a run takes over 20 s)
  --budget S      seconds for one run before it counts as timed out (180)
  --quick         a tenth of the data, one run: correctness, and figures in passing
  --json FILE     also write the figures as JSON
  --only a,b      only these parts of the topics storage and durable, or cases of constraints
  --queries a,b   only these queries of nexmark
  --events N      events of nexmark (1000000, with --quick 100000)
  --list          list the engines
  --help          this text

topics
  scaling         cost of a 1,000-change batch on 5,000,000 rows of state against 50,000
  memory          bytes of state against bytes of its columns
  kernels         merge, sort and arrange: rows per second, specialised and generic, up to 200 columns
  compile         time to compile the demo's views and each fixture schema
  gc              collections caused by a warm W1 and W2
  constraints     ingest with constraints and indexes against ingest without
  nexmark         queries q0 to q22 over the events of an auction house, best of --runs N (1)
  durable         databases in directories: opening, one-row commits, loading, large state, constraints, better-sqlite3
  storage         the storage engine against plain writes, syncs, memcpy, better-sqlite3 and classic-level
`

export class UsageError extends Error {}

const VALUED = ['engines', 'scale', 'runs', 'budget', 'json', 'only', 'queries', 'events']
const NEXMARK = ['queries', 'events']
const FLAGS = ['all', 'quick', 'list', 'help']

/**
 * Reads the arguments after the program's name.
 * Returns { topic, workloads, engines, scale, runs, budget, json, only, events, all, quick, list, help }, with null where
 * an option was not given; `queries` of nexmark are `only`. Throws UsageError.
 */
export function parse(argv) {
  const out = {
    topic: null,
    workloads: null,
    engines: null,
    scale: null,
    runs: null,
    budget: null,
    json: null,
    only: null,
    events: null,
  }
  for (const f of FLAGS) out[f] = false
  const words = [...argv]
  const nexmark = []
  while (words.length) {
    const word = words.shift()
    if (!word.startsWith('--')) {
      positional(out, word)
      continue
    }
    const [name, inline] = split(word.slice(2))
    if (FLAGS.includes(name)) {
      if (inline !== null) throw new UsageError(`--${name} takes no value, found "${inline}"`)
      out[name] = true
    } else if (VALUED.includes(name)) {
      const value = inline ?? words.shift()
      if (value === undefined || value === '') throw new UsageError(`--${name} needs a value`)
      out[name === 'queries' ? 'only' : name] = convert(name, value)
      if (NEXMARK.includes(name)) nexmark.push(name)
    } else throw new UsageError(`unknown option --${name}`)
  }
  if (nexmark.length > 0 && out.topic !== 'nexmark') throw new UsageError(`--${nexmark[0]} is for the topic nexmark`)
  check(out)
  return out
}

function split(text) {
  const at = text.indexOf('=')
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)]
}

function positional(out, word) {
  const w = word.toUpperCase()
  if (WORKLOADS.includes(w)) {
    out.workloads ??= []
    if (!out.workloads.includes(w)) out.workloads.push(w)
  } else if (TOPICS.includes(word.toLowerCase())) {
    if (out.topic) throw new UsageError(`one topic at a time, found ${out.topic} and ${word}`)
    out.topic = word.toLowerCase()
  } else {
    throw new UsageError(`expected a workload (w1 to w7) or a topic (${TOPICS.join(', ')}), found "${word}"`)
  }
}

function convert(name, value) {
  if (name === 'json') return value
  if (name === 'engines' || name === 'only' || name === 'queries') return value.split(',').filter(Boolean)
  const n = Number(value)
  const whole = name === 'runs' || name === 'events'
  const good = whole ? Number.isInteger(n) && n >= 1 : name === 'scale' ? n > 0 && n <= 1 : n > 0
  const wanted = {
    runs: 'a whole number from 1',
    events: 'a whole number from 1',
    scale: 'a number over 0 and up to 1',
    budget: 'seconds over 0',
  }
  if (!good) throw new UsageError(`--${name}: expected ${wanted[name]}, found "${value}"`)
  return n
}

function check(out) {
  const runs = out.runs !== null && out.topic !== 'nexmark'
  if (out.topic && (out.workloads || out.engines || out.scale !== null || runs || out.budget !== null)) {
    const more = out.topic === 'nexmark' ? '--quick, --json, --runs, --events and --queries' : '--quick and --json'
    throw new UsageError(`${out.topic} takes only ${more}`)
  }
  if (out.only && !['storage', 'constraints', 'durable', 'nexmark'].includes(out.topic)) {
    throw new UsageError('--only chooses parts of the topics storage, constraints and durable')
  }
  if (out.quick && out.scale !== null) throw new UsageError('--quick sets the scale; give one of --quick and --scale')
}
