/**
 * Writes until it is killed: `kill-writer.ts <dir> <seed>` says `ready`, then `ack <lsn>` for every transaction that it
 * was told is durable.
 */
import { writeSync } from 'node:fs'
import { Storage } from '../../src/storage/storage.js'
import { changesOf, killOptions, POLICIES, TABLES } from './kill-tables.js'
import { batchOf } from './tables.js'

/** Transactions that wait for the disk at the same time. */
const WRITERS = 4

const [directory, seed] = process.argv.slice(2)
const storage = await Storage.open(killOptions(directory))
const trees = TABLES.map(({ layout }, t) => storage.createTable(layout, { policy: POLICIES[t] }))
writeSync(1, 'ready\n')

async function write(): Promise<never> {
  for (;;) {
    const deltas = changesOf(storage.lsn + 1n, Number(seed))
    const changes = trees.map((table, t) => {
      return { table, delta: batchOf(TABLES[t], table.layout, deltas[t], table.kernels) }
    })
    const { lsn, durable } = storage.commit(changes)
    await durable
    writeSync(1, `ack ${lsn}\n`)
    if (lsn % 97n === 0n) storage.compact()
  }
}

await Promise.all(Array.from({ length: WRITERS }, write))
