/** The demo from end to end, as `npm start` runs it, on a part of the flights. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { NodeEnv } from '../../src/env/node.js'
import { verifyDirectory } from '../../src/storage/verify.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs the demo to its end; `onOutput` hears all output so far and may interrupt. */
function run(args: readonly string[], onOutput: (text: string, interrupt: () => void) => void = () => {}) {
  return new Promise<{ code: number | null; text: string }>((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'demo/main.ts', ...args], { cwd: root })
    let text = ''
    const hear = (part: Buffer) => {
      text += part.toString()
      onOutput(text, () => child.kill('SIGINT'))
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', reject)
    child.on('close', code => resolve({ code, text }))
  })
}

it('replays, corrects and verifies', async () => {
  const { code, text } = await run(['--rows', '3000', '--batch', '700'])
  expect(text).toContain('3,000 flights through 8 live views')
  expect(text.match(/✓ ✓/g)).toHaveLength(8)
  expect(text).toContain('All views are exact.')
  expect(text).not.toContain('\x1b')
  expect(code).toBe(0)
}, 60_000)

it('stops when it is interrupted', async () => {
  let interrupted = false
  const { code, text } = await run(['--plain'], (output, interrupt) => {
    if (interrupted || !output.includes('read ')) return
    interrupted = true
    interrupt()
  })
  expect(text).toMatch(/Stopped\.\n$/)
  expect(code).toBe(130)
}, 60_000)

it('refuses an unknown argument', async () => {
  const { code, text } = await run(['--fast'])
  expect(text).toContain('--fast')
  expect(text).toContain('npm start -- [options]')
  expect(code).toBe(2)
}, 60_000)

it('keeps its tables in a directory, and goes on with it', async () => {
  const root = mkdtempSync(join(tmpdir(), 'gnitz-demo-'))
  const directory = join(root, 'data')
  const args = ['--rows', '2000', '--batch', '700', '--data', directory]
  const check = async () => {
    const { faults, shards } = await verifyDirectory({ env: new NodeEnv(), directory, kernelsOf })
    expect(faults).toEqual([])
    return shards.rowCount
  }
  try {
    const first = await run(args)
    expect(first.text).toContain('All views are exact.')
    expect(first.text).toContain(`npx gnitz verify ${directory} checks it.`)
    const rows = await check()
    expect(rows).toBeGreaterThan(2000)
    const second = await run(args)
    expect(second.text).toContain(`Continuing with ${rows.toLocaleString('en-US')} rows in ${directory}`)
    expect(second.code).toBe(0)
    expect(await check()).toBe(rows)
    const third = await run(['--data', root])
    expect(third).toMatchObject({ code: 1, text: expect.stringContaining('or one of gnitz, found data in it') })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}, 120_000)
