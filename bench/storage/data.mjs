// What the storage parts share: the rows, the table, directories to work in,
// and an Env that notes what is written. Rows have five columns: id u64 (the
// key), user u32, kind u8, amount f64, ts i64.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kernelsOf } from '../../dist/codegen/kernels.js'
import { NodeEnv } from '../../dist/src/env/node.js'
import { arrangedLayout, tableSchema } from '../../dist/src/schema/schema.js'
import { Storage } from '../../dist/src/storage/storage.js'
import { Arranger } from '../../dist/src/zset/arrange.js'
import { Batch } from '../../dist/src/zset/batch.js'
import { Lcg } from '../lib/rng.mjs'

export const BATCH = 10_000
const TWO_32 = 2 ** 32
const FIRST_TS = 1_700_000_000_000

const column = (name, type) => ({ name, type, nullable: false })
const schema = tableSchema(
  'events',
  [column('id', 'u64'), column('user', 'u32'), column('kind', 'u8'), column('amount', 'f64'), column('ts', 'i64')],
  ['id'],
)
export const layout = arrangedLayout(schema, schema.primaryKey)
export const kernels = kernelsOf(layout, 'compiled')
/** Bytes of a row in its regions: key, weight and four columns. */
export const ROW_BYTES = 8 + 8 + 4 + 1 + 8 + 8

/** The id of row i: all different, and anywhere among 2^32 (`scattered`), or one after the other. */
export const scattered = i => Math.imul(i, 0x9e3779b1) >>> 0
export const ascending = i => i

/** Rows from..to as objects, the same for every engine. */
export function rowsOf(from, to, idOf = scattered) {
  const rng = new Lcg(from + 1)
  const rows = []
  for (let i = from; i < to; i++) {
    const amount = rng.below(1_000_000) / 100
    rows.push({ id: idOf(i), user: rng.below(100_000), kind: rng.below(8), amount, ts: FIRST_TS + i })
  }
  return rows
}

/** Appends row objects to a batch. */
export function fill(batch, rows) {
  batch.reserve(rows.length)
  const { keys32, weights32, columns, lanes } = batch
  const [, user, kind, amount] = columns
  const ts = lanes[4]
  let n = batch.length
  for (const row of rows) {
    keys32[n * 2] = row.id
    keys32[n * 2 + 1] = row.id / TWO_32
    weights32[n * 2] = 1
    weights32[n * 2 + 1] = 0
    user[n] = row.user
    kind[n] = row.kind
    amount[n] = row.amount
    ts[n * 2] = row.ts
    ts[n * 2 + 1] = row.ts / TWO_32
    n++
  }
  batch.length = n
}

const arranger = new Arranger(kernels)

/** A consolidated delta of row objects. */
export function deltaOf(rows) {
  arranger.raw.clear()
  fill(arranger.raw, rows)
  const delta = new Batch(layout)
  arranger.arrange(delta)
  return delta
}

/** Row i of a batch as an object. */
export function rowAt({ keys32, columns, lanes }, i) {
  const ts = lanes[4]
  return {
    id: keys32[i * 2] + keys32[i * 2 + 1] * TWO_32,
    user: columns[1][i],
    kind: columns[2][i],
    amount: columns[3][i],
    ts: ts[i * 2] + ts[i * 2 + 1] * TWO_32,
  }
}

/** Calls `work` with a new directory, and removes it afterwards. */
export async function inDirectory(work) {
  const directory = mkdtempSync(join(tmpdir(), 'gnitz-bench-storage-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A NodeEnv that notes the length of every write, and -1 for every sync. */
export class NotingEnv extends NodeEnv {
  notes = []

  open(path, mode) {
    const file = super.open(path, mode)
    const { notes } = this
    return {
      path,
      size: () => file.size(),
      read: (into, at) => file.read(into, at),
      write(bytes, at) {
        notes.push(bytes.length)
        file.write(bytes, at)
      },
      writeThrough(bytes, at) {
        notes.push(bytes.length, -1)
        file.writeThrough(bytes, at)
      },
      truncate: sizeBytes => file.truncate(sizeBytes),
      sync() {
        notes.push(-1)
        file.sync()
      },
      syncLater() {
        notes.push(-1)
        return file.syncLater()
      },
      close: () => file.close(),
    }
  }
}

export async function openStorage(directory, options = {}) {
  const storage = await Storage.open({ env: new NodeEnv(), directory, kernelsOf, durability: 'none', ...options })
  return { storage, table: storage.createTable(layout) }
}

/** Row i's key as a probe for look-ups. */
export function probeOf() {
  const probe = new Batch(layout, 1)
  probe.length = 1
  return probe
}

export function aim({ keys32 }, id) {
  keys32[0] = id
  keys32[1] = id / TWO_32
}
