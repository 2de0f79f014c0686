/** Tailing: a reader in another process, and in this one, sees every transaction once, in order, whole. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { IoError } from '../../src/base/errors.js'
import { NodeEnv } from '../../src/env/node.js'
import { type TailOptions, tail } from '../../src/storage/wal/tail.js'
import { fill, lineOf, lines, type Model, modelOf, newDirectory, openWal, Prng, tablesOf } from './wal-support.js'

const options = (dir: string, more: Partial<TailOptions> = {}): TailOptions => {
  return { env: new NodeEnv(), dir, tableOf: tablesOf('compiled'), after: 0n, pollMs: 5, ...more }
}

test('another process follows over segments while they are written and closed', async () => {
  const dir = newDirectory()
  const until = 150
  const script = fileURLToPath(new URL('./wal-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, dir, '0', String(until)])
  let out = ''
  let problems = ''
  let ready: () => void = () => {}
  const started = new Promise<void>(resolve => {
    ready = resolve
  })
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString()
    ready()
  })
  child.stderr.on('data', (data: Buffer) => {
    problems += data.toString()
  })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  await Promise.race([started, ended])
  const prng = new Prng(1)
  const written: Model[] = []
  for (const [from, to, durability] of [
    [1, 50, 'commit'],
    [51, 100, 'none'],
    [101, until, 'interval'],
  ] as const) {
    const { wal } = openWal(dir, { durability, segmentBytes: 6000 })
    written.push(...(await fill(wal, from, to, prng)))
    await wal.close()
  }
  expect(await ended, problems).toBe(0)
  expect(out.trim().split('\n').slice(1)).toEqual(lines(written))
})

test('a tail waits, goes on, and ends when it is told to', async () => {
  const dir = newDirectory()
  const controller = new AbortController()
  const seen: string[] = []
  const following = (async () => {
    for await (const group of tail(options(dir, { after: 2n, signal: controller.signal }))) {
      seen.push(lineOf(modelOf(group)))
    }
  })()
  const written: Model[] = []
  const { wal } = openWal(dir, { durability: 'commit' })
  for (const n of [1, 4, 7]) {
    written.push(...(await fill(wal, n, n + 2, new Prng(n))))
    await new Promise(resolve => setTimeout(resolve, 15))
  }
  for (let k = 0; k < 400 && seen.length < 7; k++) await new Promise(resolve => setTimeout(resolve, 5))
  controller.abort()
  await following
  expect(seen).toEqual(lines(written.slice(2)))
  const aborted = tail(options(dir, { signal: AbortSignal.abort() }))
  expect(await aborted.next()).toEqual({ done: true, value: undefined })
  await wal.close()
})

test('a tail that comes too late is told so', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir)
  await fill(wal, 1, 3, new Prng(1))
  wal.rotate()
  await fill(wal, 4, 5, new Prng(1))
  wal.prune(3n)
  const late = tail(options(dir, { after: 1n }))
  const error = await late.next().catch((error: unknown) => error)
  expect(error).toBeInstanceOf(IoError)
  expect(error).toMatchObject({ errno: 'ENOENT' })
  expect((error as IoError).message).toMatch(/transactions after 1, up to 3, are no longer in the log; begin with a/)
  await wal.close()
})
