/** What the tests of value logs and of encryption share: one table with long values, on a simulated disk. */
import { kernelsOf } from '../../codegen/kernels.js'
import type { Env } from '../../src/env/env.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { Storage, type StorageOptions } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import { contents, runOf, schemaOf, sumOf, type Weighted } from '../zset/support.js'

export const DIRECTORY = '/db'
export const DOCS = arrangedLayout(schemaOf('docs', 'id:u64', 'title:string', 'body:bytes?', 'note:string?'), [0])

export function optionsOf(env: Env, more: Partial<StorageOptions> = {}): StorageOptions {
  return {
    env,
    directory: DIRECTORY,
    kernelsOf: layout => kernelsOf(layout, 'generic'),
    valueThreshold: 64,
    valueFileBytes: 64 * 1024,
    ...more,
  }
}

export const openAt = (env: Env, more?: Partial<StorageOptions>) => Storage.open(optionsOf(env, more))

/** `length` bytes that no other seed has, after 48 that all have. */
export function longText(seed: number, length = 3000): string {
  return `${'the beginning is the same in all of them, and '.padEnd(48, '.')}${seed}:`.padEnd(length, `${seed}, `)
}

export const bytes = (text: string) => new TextEncoder().encode(text)

/** A row of `DOCS` with two long values. */
export function docRow(id: number, seed = id): Weighted['row'] {
  return [BigInt(id), `title ${id}`, id % 5 === 0 ? null : bytes(longText(seed)), id % 3 === 0 ? null : longText(-seed)]
}

export function commit(storage: Storage, rows: readonly Weighted[], name = 'docs'): void {
  const table = storage.table(name) as Tree
  storage.commit([{ table, delta: runOf(table.layout, rows) }])
}

export const plus = (row: Weighted['row']): Weighted => ({ row, weight: 1n })
export const minus = (row: Weighted['row']): Weighted => ({ row, weight: -1n })

/** Net rows by cursor. */
export function readAll(storage: Storage, name = 'docs'): Map<string, bigint> {
  const cursor = (storage.table(name) as Tree).cursor()
  const rows: Weighted[] = []
  try {
    for (let batch = cursor.next(); batch !== null; batch = cursor.next()) rows.push(...contents(batch))
  } finally {
    cursor.close()
  }
  return sumOf(rows)
}

export type PlantedFile = SimulatedEnv['files'] extends () => (infer F)[] ? F : never

/** A disk with these files, some of them changed. */
export function diskOf(files: readonly PlantedFile[], change: (file: PlantedFile) => Uint8Array | null): SimulatedEnv {
  const env = new SimulatedEnv()
  for (const file of files) {
    const changed = change(file)
    if (changed !== null) env.plant(file.path, changed)
  }
  return env
}

/** A directory of `count` documents in a shard and value logs, closed. */
export async function filledDisk(count: number, more?: Partial<StorageOptions>): Promise<SimulatedEnv> {
  const env = new SimulatedEnv()
  const storage = await openAt(env, more)
  storage.createTable(DOCS)
  commit(
    storage,
    Array.from({ length: count }, (_, id) => plus(docRow(id))),
  )
  await storage.close()
  return env
}
