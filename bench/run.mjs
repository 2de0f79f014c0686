// `npm run bench`: gnitz beside its peers and limits. See README.md.
import { spawn } from 'node:child_process'
import { accessSync, constants, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HELP, parse, UsageError } from './lib/args.mjs'
import { WORKLOADS } from './lib/data.mjs'
import { findEngines, OURS } from './lib/engines.mjs'
import { rate, report, time } from './lib/report.mjs'
import { Runner } from './lib/runner.mjs'
import { buildGnitz, installPeers, SetupError } from './lib/setup.mjs'
import { records, summarise } from './lib/summary.mjs'

const QUICK_SCALE = 0.1
const INTERRUPTED = 130

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (e) {
  if (!(e instanceof UsageError || e instanceof SetupError)) throw e
  console.error(`bench: ${e.message}`)
  if (e instanceof UsageError) console.error('npm run bench -- --help lists what there is')
  process.exitCode = e instanceof UsageError ? 2 : 1
}

async function main(argv) {
  const options = parse(argv)
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const json = options.json === null ? null : writable(options.json)
  if (options.topic) {
    if (options.topic === 'storage' || options.topic === 'durable') installPeers()
    buildGnitz()
    return topic(options, json)
  }
  installPeers()
  const ours = options.engines === null || options.engines.some(e => OURS.includes(e))
  if (ours && !options.list) buildGnitz()
  const { engines, missing } = findEngines()
  if (options.list) {
    for (const e of engines) console.log(`${e.name.padEnd(18)}${e.supports.join(' ')}${e.fast ? '' : '   (--all)'}`)
    for (const m of missing) console.log(`${m.name.padEnd(18)}${m.why}`)
    return 0
  }
  const { jobs, absent } = plan(options, engines, missing)
  return measure(options, jobs, absent, json)
}

/** Fails before an hour of measuring, not after it. */
function writable(file) {
  const path = resolve(process.env.INIT_CWD ?? process.cwd(), file)
  try {
    accessSync(dirname(path), constants.W_OK)
  } catch {
    throw new UsageError(`--json: expected a file in a folder that can be written, found "${file}"`)
  }
  return path
}

function plan(options, engines, missing) {
  const names = engines.map(e => e.name)
  for (const name of options.engines ?? []) {
    if (names.includes(name)) continue
    const lost = missing.find(m => m.name === name || (m.name === 'adapters/gnitz' && OURS.includes(name)))
    throw new UsageError(
      lost ? `engine ${name} ${lost.why}` : `unknown engine "${name}"; there are ${names.join(', ')}`,
    )
  }
  const chosen = engines.filter(e => (options.engines ? options.engines.includes(e.name) : e.fast || options.all))
  if (options.engines === null) {
    for (const m of missing) if (options.all || m.name !== 'zql') console.error(`bench: left out ${m.name}: ${m.why}`)
  }
  const workloads = options.workloads ?? (options.all ? WORKLOADS : WORKLOADS.slice(0, 6))
  const jobs = []
  const absent = []
  for (const workload of workloads) {
    for (const engine of chosen) {
      if (engine.supports.includes(workload)) jobs.push({ engine, workload })
      else if (engine.why[workload]) absent.push({ engine: engine.name, workload, why: engine.why[workload] })
    }
  }
  return { jobs, absent }
}

async function measure(options, jobs, absent, json) {
  const scale = options.quick ? QUICK_SCALE : (options.scale ?? 1)
  const runner = new Runner({ scale, budgetMs: (options.budget ?? 180) * 1000 })
  onInterrupt(() => runner.stop())
  console.log(
    `${cpus().length} × ${cpus()[0].model}, node ${process.version}, load ${loadavg()[0].toFixed(1)}, scale ${scale}; ` +
      `${jobs.length} combinations of engine and workload`,
  )
  const results = await runner
    .all(jobs, {
      runs: options.runs ?? (options.quick ? 1 : null),
      repeatNoisy: !options.quick,
      onStart: job => progress(`${job.engine.name} ${job.workload} …`),
      onResult: resultLine,
    })
    .finally(() => runner.stop())
  const summary = summarise(results)
  const { text, met, judged } = report(summary, absent)
  console.log(text)
  if (judged)
    console.log(
      `\n${met} of ${judged} targets met${scale < 1 ? ' (they are meant for the whole data, --scale 1)' : ''}`,
    )
  if (json) {
    writeFileSync(json, JSON.stringify(records(summary), null, 1) + '\n')
    console.log(`figures written to ${json}`)
  }
  const bad = summary.filter(s => OURS.includes(s.engine) && s.status !== 'ok')
  for (const s of bad) console.error(`bench: ${s.engine} ${s.workload}: ${s.status}: ${s.detail}`)
  return bad.length ? 1 : 0
}

function progress(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`)
}

function resultLine(r) {
  progress('')
  const cells = [
    r.peer.padEnd(17),
    r.workload,
    (r.status === 'ok' ? 'correct' : r.status).padEnd(8),
    `load ${rate(r.loadRowsPerS)}/s`.padEnd(14),
    `batch ${time(r.batchP50)}`.padEnd(15),
    `single ${time(r.singleP50)}`.padEnd(16),
    `${r.wallS} s`,
    r.noisy ? 'busy machine' : '',
    r.wrongDetail ?? r.error ?? '',
  ]
  console.log(cells.join('  ').trimEnd())
}

/** A topic is a program of its own beside this one. */
function topic({ topic: name, quick, only, events, runs }, json) {
  const file = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))
  const args = ['--expose-gc', '--max-old-space-size=8192', file]
  if (quick) args.push('--quick')
  if (json) args.push('--json', json)
  if (only) args.push('--only', only.join(','))
  if (events !== null) args.push('--events', String(events))
  if (runs !== null) args.push('--runs', String(runs))
  const child = spawn(process.execPath, args, { stdio: 'inherit', detached: true })
  onInterrupt(() => process.kill(-child.pid, 'SIGKILL'))
  return new Promise(done => child.on('close', code => done(code ?? 1)))
}

function onInterrupt(clean) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      clean()
      progress('')
      console.error('bench: interrupted')
      process.exit(INTERRUPTED)
    })
  }
}
