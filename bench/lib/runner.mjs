// Runs (engine, workload) combinations, each in a process of its own, and
// collects the results. Ctrl-C ends the process that runs and removes the
// temporary files.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SHORT_S = 20
/** A run whose calibration loop is this much slower than the best one is repeated. */
const NOISE = 1.15
const GRACE_MS = 30_000

export class Runner {
  #scratch = mkdtempSync(join(tmpdir(), 'gnitz-bench-'))
  #child = null
  #bestCalibration = Infinity
  #budgetMs
  #scale

  constructor({ scale, budgetMs }) {
    this.#scale = scale
    this.#budgetMs = budgetMs
  }

  /** Ends the running process, with all it started, and removes the temporary files. */
  stop() {
    if (this.#child?.pid) {
      try {
        process.kill(-this.#child.pid, 'SIGKILL')
      } catch (e) {
        if (e.code !== 'ESRCH') throw e
      }
    }
    rmSync(this.#scratch, { recursive: true, force: true })
  }

  /** All runs of all jobs ({ engine, workload }), pass by pass so that noise meets every engine. */
  async all(jobs, { runs, repeatNoisy, onStart, onResult }) {
    const results = []
    const wall = new Map()
    for (let pass = 1; pass <= (runs ?? 3); pass++) {
      for (const job of jobs) {
        if (runs === null && wall.get(job) > SHORT_S) continue
        onStart(job)
        const r = await this.#measure(job, repeatNoisy)
        wall.set(job, r.wallS)
        results.push(r)
        onResult(r, results.length)
      }
    }
    return results
  }

  async #measure(job, repeatNoisy) {
    for (let attempt = 0; ; attempt++) {
      const r = await this.#once(job)
      if (r.calibrationMs) this.#bestCalibration = Math.min(this.#bestCalibration, r.calibrationMs)
      const slowest = Math.max(r.calibrationMs ?? 0, r.calibrationEndMs ?? 0)
      r.noisy = slowest > this.#bestCalibration * NOISE
      if (!r.noisy || !repeatNoisy || attempt >= 2 || r.wallS > SHORT_S) return r
    }
  }

  #once({ engine, workload }) {
    return new Promise(resolve => {
      const started = Date.now()
      const args = engine.args(workload, this.#scale, this.#budgetMs)
      // A process group of its own, so that a compiler or a native limit it starts ends with it.
      const child = spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        env: { ...process.env, TMPDIR: this.#scratch },
      })
      this.#child = child
      const read = new Output()
      let killed = false
      const timer = setTimeout(() => {
        killed = true
        process.kill(-child.pid, 'SIGKILL')
      }, this.#budgetMs + GRACE_MS)
      child.stdout.on('data', d => read.out(d))
      child.stderr.on('data', d => read.err(d))
      child.on('close', code => {
        clearTimeout(timer)
        this.#child = null
        const r = read.result ?? { peer: engine.name, workload, ...read.failure(killed, code) }
        r.wallS = Number(((Date.now() - started) / 1000).toFixed(1))
        resolve(r)
      })
    })
  }
}

// The lines of a child: progress, the result, and whatever else it printed.
class Output {
  result = null
  #last = null
  #text = ''
  #other = ''

  out(data) {
    this.#text += data
    for (;;) {
      const nl = this.#text.indexOf('\n')
      if (nl < 0) return
      this.#line(this.#text.slice(0, nl))
      this.#text = this.#text.slice(nl + 1)
    }
  }

  err(data) {
    this.#other += data
  }

  #line(line) {
    let o
    try {
      o = JSON.parse(line)
    } catch {
      this.#other += line + '\n'
      return
    }
    if (o.result) this.result = o.result
    else this.#last = o
  }

  failure(killed, code) {
    const progress = this.#last ? JSON.stringify(this.#last) : 'no progress'
    if (killed) return { status: 'timeout', progress }
    const error = this.#other.match(/^.*(Error|error|FATAL).*$/m)?.[0] ?? `exit code ${code}`
    return { status: 'error', error: error.slice(0, 300), progress }
  }
}
