/** The storage engine on its own: Z-sets in a directory, durable, read back by key, by range and as they were. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kernelsOf, readRow, writeRow } from 'gnitz/codegen'
import { Arranger, arrangedLayout, Batch, type Cursor, NodeEnv, Storage, tableSchema } from 'gnitz/storage'

const schema = tableSchema(
  'parcels',
  [
    { name: 'id', type: 'u64', nullable: false },
    { name: 'town', type: 'string', nullable: false },
    { name: 'grams', type: 'u32', nullable: true },
  ],
  ['id'],
)
const layout = arrangedLayout(schema, schema.primaryKey)

type Parcel = [id: bigint, town: string, grams: number | null]

/** A delta: rows in any order, each with a weight, sorted and summed. */
function deltaOf(...rows: [weight: bigint, ...Parcel][]): Batch {
  const arranger = new Arranger(kernelsOf(layout))
  const { raw } = arranger
  raw.reserve(rows.length)
  for (const [weight, ...row] of rows) {
    writeRow(raw, raw.length, row)
    raw.weights[raw.length++] = weight
  }
  const delta = new Batch(layout)
  arranger.arrange(delta)
  return delta
}

function show(title: string, cursor: Cursor): void {
  console.log(title)
  for (let batch = cursor.next(); batch !== null; batch = cursor.next()) {
    for (let i = 0; i < batch.length; i++) console.log(`  ${batch.weights[i]} × ${readRow(batch, i).join(', ')}`)
  }
  cursor.close()
}

const directory = mkdtempSync(join(tmpdir(), 'gnitz-example-'))
const options = { env: new NodeEnv(), directory, kernelsOf }
try {
  const storage = await Storage.open(options)
  const parcels = storage.createTable(layout)
  await storage.commit([{ table: parcels, delta: deltaOf([1n, 1n, 'Bergen', 900], [1n, 2n, 'Oslo', null]) }]).durable
  const before = parcels.snapshot()
  // An update is a retraction and an insertion.
  const update = deltaOf([-1n, 2n, 'Oslo', null], [1n, 2n, 'Oslo', 1200], [1n, 3n, 'Tromsø', 450])
  const { lsn, durable } = storage.commit([{ table: parcels, delta: update }])
  await durable
  show('before', before.cursor())
  before.release()
  show('from 2 on', parcels.cursor({ from: deltaOf([1n, 2n, '', null]) }))

  // Another process may read beside the writer.
  const reader = await Storage.open({ ...options, readOnly: true })
  const found = new Batch(layout)
  const count = reader.table('parcels')?.get(deltaOf([1n, 3n, '', null]), 0, found) ?? 0
  console.log(`transaction ${lsn}: ${count} parcel with id 3, to ${readRow(found, 0)[1]}`)
  await reader.close()
  await storage.close()
} finally {
  rmSync(directory, { recursive: true })
}
