/** `gnitz verify`: is everything in a directory what was written? */
import { kernelsOf } from '../../../codegen/kernels.js'
import { NodeEnv } from '../../env/node.js'
import { type Finding, verifyDirectory } from '../../storage/verify.js'
import { CliError } from '../cli-error.js'
import { type Command, readArguments } from './command.js'
import { keysFromEnvironment } from './keys.js'
import { kindOf } from './source.js'
import { bytesText, plural } from './text.js'

const usage = `Usage: gnitz verify DIR [--json]

Checks every checksum and invariant of a directory: manifest, shards with the order of their rows, log, and that they
fit each other. Says where the first fault is, and exits with 1 if there is one. What a crash has left, or what a
running writer is at, are notes. Changes nothing.

  --json  one JSON value`

export const verify: Command = {
  name: 'verify',
  summary: ['verify DIR', 'checks every checksum and invariant'],
  usage,
  async run(args, output) {
    const { paths, json } = readArguments(verify, args, {})
    const [directory] = paths
    if (kindOf(directory) !== 'directory') throw new CliError(`${directory}: expected a directory, found a file`)
    const { faults, notes, generation, lsn, tables, shards, values, log } = await verifyDirectory({
      ...{ env: new NodeEnv(), directory, kernelsOf, encryption: keysFromEnvironment() },
    })
    if (json) {
      const counts = { generation, lsn, tables, shards, values, log }
      await output.json({ directory, ok: faults.length === 0, faults, notes, ...counts })
      return faults.length === 0 ? 0 : 1
    }
    for (const fault of faults) await output.line(`fault: ${placed(fault)}`)
    for (const note of notes) await output.line(`note: ${placed(note)}`)
    const rows = `${plural(shards.rowCount, 'row')}, ${bytesText(shards.sizeBytes)}`
    const records = `${plural(values.records, 'value')}, ${bytesText(values.sizeBytes)}`
    const inLogs = values.files === 0 ? '' : `${plural(values.files, 'value log')} (${records}), `
    const later = `${plural(log.transactions, 'transaction')} after the checkpoint`
    await output.line(
      `${directory}: generation ${generation}, last transaction ${lsn}; checked ${plural(tables, 'table')}, ` +
        `${plural(shards.count, 'shard')} (${rows}), ${inLogs}${plural(log.segments, 'segment')} of log ` +
        `(${plural(log.blocks, 'block')}, ${bytesText(log.sizeBytes)}, ${later})`,
    )
    await output.line(faults.length === 0 ? 'no fault' : plural(faults.length, 'fault'))
    return faults.length === 0 ? 0 : 1
  },
}

function placed({ file, offset, problem }: Finding): string {
  return `${file}${offset === null ? '' : `, byte ${offset}`}: ${problem}`
}
