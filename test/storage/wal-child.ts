/** Tails a log from a process of its own: `wal-child.ts <dir> <after> <until>` prints each transaction as a line. */
import { loadChecksum } from '../../src/base/checksum.js'
import { NodeEnv } from '../../src/env/node.js'
import { tail } from '../../src/storage/wal/tail.js'
import { lineOf, modelOf, tablesOf } from './wal-tables.js'

const [dir, after, until] = process.argv.slice(2)
await loadChecksum()
process.stdout.write('ready\n')
for await (const group of tail({ env: new NodeEnv(), dir, tableOf: tablesOf('compiled'), after: BigInt(after) })) {
  process.stdout.write(`${lineOf(modelOf(group))}\n`)
  if (group.lsn >= BigInt(until)) break
}
