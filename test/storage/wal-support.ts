/** What the tests of the log share: tables, random transactions, and ways to open and damage a log. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { loadChecksum } from '../../src/base/checksum.js'
import type { Prng } from '../../src/base/prng.js'
import { NodeEnv } from '../../src/env/node.js'
import { Wal, type WalOptions } from '../../src/storage/wal/wal.js'
import { type Model, modelOf, randomGroup, tablesOf } from './wal-tables.js'

await loadChecksum()

/** An empty directory until the running test has ended. */
export function newDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'gnitz-wal-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export interface Opened {
  readonly wal: Wal
  readonly groups: Model[]
}

export function openWal(dir: string, options: Partial<WalOptions> = {}): Opened {
  const groups: Model[] = []
  const wal = Wal.open({
    ...{ env: new NodeEnv(), dir, tableOf: tablesOf('compiled'), afterLsn: 0n, durability: 'none', aheadBytes: 100 },
    replay: group => {
      groups.push(modelOf(group))
    },
    ...options,
  })
  return { wal, groups }
}

/** Appends transactions from..to, each in a write of its own, and returns what they hold. */
export async function fill(wal: Wal, from: number, to: number, prng: Prng, maxRows?: number): Promise<Model[]> {
  const models: Model[] = []
  for (let n = from; n <= to; n++) {
    const { parts, model } = randomGroup(BigInt(n), prng, maxRows)
    wal.append(model.lsn, parts)
    await wal.committed(model.lsn)
    models.push(model)
  }
  return models
}

export function copyDirectory(from: string): string {
  const to = newDirectory()
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name))
  return to
}

export function segmentsIn(dir: string): string[] {
  return readdirSync(dir)
    .filter(name => name.startsWith('wal-'))
    .sort()
}

export * from './wal-tables.js'
