/** The demo from end to end, as `npm start` runs it, on a part of the flights. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { openDemo } from '../../demo/database.js'
import { startOver } from '../../demo/directory.js'
import { openFlights } from '../../demo/flights.js'
import { run as runDemo } from '../../demo/run.js'
import { PlainScreen } from '../../demo/screen.js'
import { Stage } from '../../demo/stage.js'
import { allAgree, renderSummary } from '../../demo/summary.js'
import { checkDatabase } from '../../src/engine/durable/check.js'
import { NodeEnv } from '../../src/env/node.js'
import { open, table, u64 } from '../../src/index.js'
import { verifyDirectory } from '../../src/storage/verify.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

type Signal = 'SIGINT' | 'SIGKILL'

/** Runs the demo to its end; `onOutput` hears all output so far and may send a signal. */
function run(args: readonly string[], onOutput: (text: string, kill: (signal: Signal) => void) => void = () => {}) {
  return new Promise<{ code: number | null; text: string }>((resolve, reject) => {
    const child = spawn(process.execPath, ['dist/demo/main.js', ...args], { cwd: root })
    let text = ''
    const hear = (part: Buffer) => {
      text += part.toString()
      onOutput(text, signal => child.kill(signal))
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', reject)
    child.on('close', code => resolve({ code, text }))
  })
}

/** Sends `signal` as soon as there is a line of the phase. */
function at(phase: string, signal: Signal) {
  let sent = false
  return (text: string, kill: (signal: Signal) => void): void => {
    if (sent || !new RegExp(`^${phase} `, 'm').test(text)) return
    sent = true
    // As npm does.
    for (let n = 0; n < 2; n++) kill(signal)
  }
}

/** How many flights the last line of the phase says are on the disk, at least. */
function acknowledged(text: string, phase: string, total: number): number {
  const percents = [...text.matchAll(new RegExp(`^${phase} +(\\d+) %`, 'gm'))].map(([, percent]) => Number(percent))
  return (total * (percents.at(-1) ?? 0)) / 100
}

let temporary: string
beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), 'gnitz-demo-'))
})
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

it('replays, corrects and verifies in memory', async () => {
  const demo = await openDemo({ directory: null, rows: 600 }, 3_000_000)
  let text = ''
  const screen = new PlainScreen({
    write: part => {
      text += part
    },
  })
  const stage = new Stage('demo', screen, new AbortController().signal)
  for (const round of [0, 1]) {
    expect(demo.journal.place).toMatchObject({ rows: 600, round })
    const summary = await runDemo(demo, await openFlights(), 250, stage)
    expect([summary.replayed.rows, summary.replayed.latencies.count]).toEqual(round === 0 ? [600, 3] : [0, 0])
    expect(summary.corrections.map(({ timing }) => timing.rows)).toEqual([600, 600, 600, 600])
    expect(allAgree(summary)).toBe(true)
    const report = renderSummary(summary)
    expect(report).toContain('600 flights through 8 live views')
    expect(report.match(/✓ ✓/g)).toHaveLength(8)
    expect(report).toContain('All views are exact.')
  }
  expect(text).toMatch(/^replay +100 %/m)
  expect(text).not.toContain('\x1b')
}, 60_000)

it('goes on where it was killed or interrupted, and loses nothing that was acknowledged', async () => {
  const directory = join(temporary, 'killed')
  const ROWS = 400
  const args = ['--rows', String(ROWS), '--batch', '1', '--data', directory]

  const first = await run(args, at('replay', 'SIGKILL'))
  expect(first).toMatchObject({ code: null, text: expect.not.stringContaining('exact') })

  // No options: everything is as it was begun.
  const second = await run(['--data', directory, '--batch', '1000'], at('retract', 'SIGKILL'))
  const [, loaded, rows] = second.text.match(/Going on in .*: ([\d,]+) of ([\d,]+) flights are loaded/) ?? []
  expect(rows).toBe(String(ROWS))
  expect(Number(loaded?.replace(',', ''))).toBeGreaterThanOrEqual(acknowledged(first.text, 'replay', ROWS))

  const third = await run(['--data', directory], at('re-insert', 'SIGINT'))
  const [, done] = third.text.match(/400 flights are loaded, round 1 of corrections: .*, ([\d,]+) done/) ?? []
  expect(Number(done?.replace(',', ''))).toBeGreaterThanOrEqual(acknowledged(second.text, 'retract', ROWS))
  expect(third).toMatchObject({
    code: 130,
    text: expect.stringMatching(/Stopped\. What is in .* is kept: npm start goes on\.\n$/),
  })

  const fourth = await run(['--data', directory])
  expect(fourth.text).toContain('All views are exact.')
  expect(fourth.text.match(/✓ ✓/g)).toHaveLength(8)
  expect(fourth.code).toBe(0)

  const { faults } = await verifyDirectory({ env: new NodeEnv(), directory, kernelsOf })
  expect(faults).toEqual([])
  const db = await open(directory)
  try {
    expect(db.table('flights').size).toBe(ROWS)
    expect(checkDatabase(db)).toMatchObject({ findings: [], tables: 4, views: 8, skipped: [] })
    const taken = openDemo({ directory, rows: null }, ROWS)
    await expect(taken).rejects.toThrow(`process ${process.pid} is writing to this directory`)
    expect(() => startOver(directory)).toThrow(`process ${process.pid} is writing to this directory`)
  } finally {
    await db.close()
  }

  await expect(openDemo({ directory, rows: 50 }, ROWS)).rejects.toThrow('expected --rows 400, found 50')
  startOver(directory)
  const { db: fresh, isNew, journal } = await openDemo({ directory, rows: 50 }, ROWS)
  await fresh.close()
  expect({ isNew, ...journal.place }).toEqual({ isNew: true, rows: 50, round: 0, step: 0, done: 0 })
}, 120_000)

it('leaves directories alone that are not its own', async () => {
  const foreign = join(temporary, 'foreign')
  mkdirSync(foreign)
  writeFileSync(join(foreign, 'letter.txt'), 'dear')
  expect(() => startOver(foreign)).toThrow('or one of gnitz, found letter.txt in it')
  await expect(openDemo({ directory: foreign, rows: null }, 1)).rejects.toThrow('found letter.txt in it')
  const file = join(foreign, 'letter.txt')
  await expect(openDemo({ directory: file, rows: null }, 1)).rejects.toThrow('expected a directory, found a file')

  const other = join(temporary, 'other')
  const db = await open(other)
  db.createTable(table('visits', { id: u64().primaryKey() }))
  await db.close()
  await expect(openDemo({ directory: other, rows: null }, 1)).rejects.toThrow('found one with the tables visits')
})
