/** `gnitz check`: do a database's views, indexes and constraints follow from its tables? */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { checkDatabase } from '../../engine/durable/check.js'
import type { Durability } from '../../engine/durable/durability.js'
import { open } from '../../index.js'
import type { Recovery } from '../../storage/context.js'
import type { Lsn } from '../../storage/types.js'
import { MANIFEST_FILE } from '../../storage/types.js'
import { CliError } from '../cli-error.js'
import { importModule } from '../load-module.js'
import { type Command, readArguments } from './command.js'
import { keysFromEnvironment } from './keys.js'
import { plural } from './text.js'

const usage = `Usage: gnitz check DIR [--functions MODULE] [--json]

Opens the database in DIR, computes every view again from the tables, holds every index and every constraint against
them, and says what does not agree; exits with 1 if something does not. Changes nothing, takes no lock, and may run while
the database is in use: what is checked is the last checkpoint and, in memory, the transactions that the log has had since.

  --functions MODULE   a module that exports the functions (udf) which views call
  --json               one JSON value`

export const check: Command = {
  name: 'check',
  summary: ['check DIR', 'computes views, indexes and constraints again and compares'],
  usage,
  async run(args, output) {
    const { paths, json, text } = readArguments(check, args, { functions: { type: 'string' } })
    const [directory] = paths
    if (!existsSync(join(directory, MANIFEST_FILE))) {
      throw new CliError(`${directory}: expected the directory of a database, found no ${MANIFEST_FILE}`)
    }
    const module = text('functions')
    const functions = module === undefined ? [] : Object.values(await importModule(module))
    const udfs = functions.filter(f => typeof f === 'function') as ((...args: never[]) => unknown)[]
    const database = await open(directory, { udfs, encryption: keysFromEnvironment(), readOnly: true })
    try {
      const { recovery, checkpointLsn } = (database.durability as Durability).storage
      const { findings, skipped, ...counts } = checkDatabase(database)
      const ok = findings.length === 0
      if (json) {
        const log = { checkpointLsn, ...recovery }
        await output.json({ directory, ok, lsn: database.lsn, log, findings, skipped, ...counts })
        return ok ? 0 : 1
      }
      for (const { kind, table, name, problem } of findings) {
        await output.line(`${kind} ${name}${table === null ? '' : ` of table ${table}`}: ${problem}`)
      }
      for (const name of skipped)
        await output.line(
          `note: view ${name} cannot be computed again: it reads a stream, shows what is final, leaves out what is late, or draws noise`,
        )
      await output.line(tailOf(checkpointLsn, recovery))
      const { tables, views, indexes } = counts
      await output.line(
        `${directory}: transaction ${database.lsn}; checked ${plural(tables, 'table')}, ${plural(views, 'view')}, ` +
          `${indexes} ${indexes === 1 ? 'index' : 'indexes'}`,
      )
      await output.line(ok ? 'no fault' : plural(findings.length, 'fault'))
      return ok ? 0 : 1
    } finally {
      await database.close()
    }
  },
}

/** What became of the log behind the checkpoint. */
function tailOf(checkpointLsn: Lsn, { groups, rows, droppedBytes, droppedAt }: Recovery): string {
  const read = groups === 0 ? 'no transaction' : `${plural(groups, 'transaction')} (${plural(rows, 'row')})`
  const text = `log: ${read} after the checkpoint of transaction ${checkpointLsn}${groups === 0 ? '' : ', applied in memory'}`
  if (droppedAt === null) return text
  const where = `${droppedAt.file} from byte ${droppedAt.offset} on`
  return `${text}; left out ${plural(droppedBytes, 'byte')} of a transaction that is not whole: ${where}`
}
