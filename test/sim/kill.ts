/**
 * `kill -9` of a real writing process, again and again on one directory: while it writes, a reader checks the directory;
 * after each kill everything that was acknowledged must be there, and nothing that never was written.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { kernelsOf } from '../../codegen/kernels.js'
import { loadChecksum } from '../../src/base/checksum.js'
import { Prng } from '../../src/base/prng.js'
import { NodeEnv } from '../../src/env/node.js'
import type { Layout } from '../../src/schema/schema.js'
import { Storage } from '../../src/storage/storage.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { changesOf, killOptions, TABLES } from './kill-tables.js'
import { addTo, compare, type Weights } from './tables.js'

const SCRIPT = fileURLToPath(new URL('./kill-writer.ts', import.meta.url))
/** Most acknowledgements that are waited for, and how long a writer lives on after them, in milliseconds. */
const MAX_ACKS = 60
const LIFE_MS = 30

export interface KillTally {
  kills: number
  acknowledged: bigint
  recovered: bigint
  /** Times that the reader checked the directory while it was written to. */
  checks: number
}

/** Kills a writer `kills` times. Throws an Error that says what is wrong. `onKill` hears of each. */
export async function killWriter(
  kills: number,
  seed: number,
  onKill: (tally: KillTally) => boolean,
): Promise<KillTally> {
  const directory = mkdtempSync(join(tmpdir(), 'gnitz-kill-'))
  const tally: KillTally = { kills: 0, acknowledged: 0n, recovered: 0n, checks: 0 }
  const prng = new Prng(seed)
  const state: { lsn: bigint; weights: Weights[] } = { lsn: 0n, weights: TABLES.map(() => new Map()) }
  await loadChecksum()
  try {
    while (tally.kills < kills) {
      const acknowledged = await oneLife(directory, seed, prng, tally)
      await check(directory, seed, acknowledged, state, prng)
      tally.kills++
      tally.recovered = state.lsn
      if (!onKill(tally)) break
    }
    return tally
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Lets a writer live for a while; returns the last transaction that it was told is durable. */
async function oneLife(directory: string, seed: number, prng: Prng, tally: KillTally): Promise<bigint> {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, directory, String(seed)])
  const ended = new Promise<NodeJS.Signals | null>(resolve => child.on('close', (_, signal) => resolve(signal)))
  const output = { text: '', problems: '' }
  child.stdout.on('data', (data: Buffer) => {
    output.text += data.toString()
  })
  child.stderr.on('data', (data: Buffer) => {
    output.problems += data.toString()
  })
  // Now and then it dies as soon as it can.
  const acks = prng.chance(0.1) ? -1 : prng.below(MAX_ACKS)
  await Promise.race([said(child, output, 'ready'), ended])
  const watching = verifyAlive(directory, tally)
  if (acks >= 0) await Promise.race([said(child, output, 'ack', acks), ended])
  await new Promise(resolve => setTimeout(resolve, prng.below(LIFE_MS)))
  child.kill('SIGKILL')
  if ((await ended) !== 'SIGKILL') throw new Error(`the writer ended by itself: ${output.problems}`)
  await watching
  const heard = [...output.text.matchAll(/^ack (\d+)$/gm)]
  tally.acknowledged += BigInt(heard.length)
  return heard.reduce((most, [, lsn]) => (BigInt(lsn) > most ? BigInt(lsn) : most), 0n)
}

/** Resolves when the child has said a word so many times. */
function said(child: ChildProcess, output: { text: string }, word: string, times = 1): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      if (output.text.split(word).length > times) resolve()
    }
    child.stdout?.on('data', look)
    look()
  })
}

/** A reader beside the writer finds nothing wrong. */
async function verifyAlive(directory: string, tally: KillTally): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 10))
  const { faults } = await verifyDirectory({
    env: new NodeEnv(),
    directory,
    kernelsOf: (layout: Layout) => kernelsOf(layout, 'compiled'),
  })
  refuse(faults, 'beside the writer')
  tally.checks++
}

function refuse(faults: readonly { file: string; offset: number | null; problem: string }[], when: string): void {
  if (faults.length === 0) return
  const [{ file, offset, problem }] = faults
  throw new Error(`verify ${when}: ${file}, byte ${offset}: ${problem}`)
}

async function check(
  directory: string,
  seed: number,
  acknowledged: bigint,
  state: { lsn: bigint; weights: Weights[] },
  prng: Prng,
): Promise<void> {
  refuse((await verifyDirectory(killOptions(directory))).faults, 'after the kill')
  const storage = await Storage.open({ ...killOptions(directory), io: prng.pick(['auto', 'read'] as const) })
  if (storage.lsn < acknowledged || storage.lsn < state.lsn) {
    throw new Error(`transaction ${acknowledged} was acknowledged, recovery ended at ${storage.lsn}`)
  }
  for (; state.lsn < storage.lsn; state.lsn++) {
    for (const [t, delta] of changesOf(state.lsn + 1n, seed).entries()) addTo(state.weights[t], delta)
  }
  TABLES.forEach((universe, t) => {
    const tree = storage.table(universe.layout.schema.name)
    if (tree === undefined) throw new Error(`table ${universe.layout.schema.name} is missing`)
    const cursor = tree.cursor()
    const problem = compare(universe, { [Symbol.iterator]: () => batches(cursor) }, state.weights[t])
    cursor.close()
    if (problem !== null) throw new Error(`table ${tree.name} at ${storage.lsn}: ${problem}`)
  })
  await storage.close({ checkpoint: prng.chance(0.3) })
}

function* batches(cursor: { next(): import('../../src/zset/batch.js').Batch | null }) {
  for (let batch = cursor.next(); batch !== null; batch = cursor.next()) yield batch
}

/** For the command line. */
export async function killRounds(kills: number, seed: number): Promise<number> {
  let stop = false
  process.once('SIGINT', () => {
    stop = true
  })
  const started = performance.now()
  const line = ({ kills: done, acknowledged, recovered, checks }: KillTally) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    return `${done} kills in ${seconds} s, ${acknowledged} acknowledged, LSN ${recovered}, ${checks} checks beside the writer`
  }
  try {
    const tally = await killWriter(kills, seed, now => {
      if (now.kills % 10 === 0) console.log(line(now))
      return !stop
    })
    console.log(`${stop ? 'interrupted' : 'no failure'}: ${line(tally)}`)
    return stop ? 130 : 0
  } catch (error) {
    console.error(error)
    console.error(`npm run sim -- --kill ${kills} --seed ${seed}`)
    return 1
  }
}
