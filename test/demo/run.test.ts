/** The demo from end to end, as `npm start` runs it, on a part of the flights. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

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
