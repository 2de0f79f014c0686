/** Random constraints and transactions: what the engine does against a plain model. Throws where they differ. */
import { ConstraintError, type Database, i32, open, string, type TableHandle, u8 } from '../../../src/index.js'
import { type AnyRow, anyTable, picker } from '../support.js'
import { Model, type ModelKey, type ModelTable, rowKey } from './model.js'

type Next = (n: number) => number
const pick = <T>(next: Next, values: readonly T[]): T => values[next(values.length)]

const TEXTS = ['a', 'b', 'c', 'a text that is long, 1', 'a text that is long, 2']
const ACTIONS = ['restrict', 'cascade', 'setNull'] as const
const KEYS = [['k'], ['k', 'n'], ['t'], ['t', 'n']] as const
/** Columns that may refer to a key: all nullable, and of its types. */
const REFERRING: Readonly<Record<string, readonly string[]>> = {
  k: ['p'],
  'k,n': ['p', 'u'],
  t: ['q'],
  't,n': ['q', 'u'],
  s: ['q'],
}

interface World {
  readonly db: Database
  readonly handles: TableHandle<AnyRow, AnyRow>[]
  readonly model: Model
}

function build(next: Next, name: string): World {
  const count = 1 + next(3)
  const tables: ModelTable[] = Array.from({ length: count }, () => ({
    primaryKey: pick(next, KEYS),
    isUnique: next(5) > 0,
    uniques: [],
    checks: [],
    keys: [],
  }))
  const db = open(next(12) === 0 ? { mode: 'generic' } : {})
  const handles = tables.map((t, n) => {
    const columns = {
      k: i32(),
      n: u8(),
      t: string(),
      s: string().nullable(),
      p: i32().nullable(),
      u: u8().nullable(),
      q: string().nullable(),
    }
    const definition = anyTable(`${name}_${n}`, columns, { primaryKey: [...t.primaryKey], uniqueKey: t.isUnique })
    return db.createTable(definition)
  })
  tables.forEach((table, t) => {
    if (next(3) === 0) {
      const nullsNotDistinct = next(2) === 0
      db.addConstraint(handles[t], 's', { unique: ['s'], nullsNotDistinct })
      table.uniques.push({ kind: 'unique', columns: ['s'], nullsNotDistinct })
    }
    if (next(4) === 0) {
      db.createIndex(handles[t], 'pair', { on: ['n', { by: 'p', desc: true }], unique: true })
      table.uniques.push({ kind: 'unique', columns: ['n', 'p'], nullsNotDistinct: false })
    }
    if (next(4) === 0) {
      db.addConstraint(handles[t], 'check', { check: r => r.n !== 3 || r.p === null })
      table.checks.push({ kind: 'check', holds: r => r.n !== 3 || r.p === null })
    }
  })
  tables.forEach((table, t) => {
    for (let k = next(3); k > 0; k--) addKey(next, { db, handles, model: new Model(tables) }, table, t, k)
  })
  return { db, handles, model: new Model(tables) }
}

function addKey(next: Next, { db, handles, model }: World, table: ModelTable, t: number, k: number): void {
  const parent = next(model.tables.length)
  const { primaryKey, isUnique, uniques } = model.tables[parent]
  const others = uniques.filter(u => u.columns.join() === 's').map(u => u.columns)
  const keys = [...(isUnique ? [primaryKey] : []), ...others]
  if (keys.length === 0) return
  const parentColumns = pick(next, keys)
  const columns = REFERRING[parentColumns.join()]
  const key: ModelKey = {
    kind: 'foreignKey',
    columns,
    parent,
    parentColumns,
    onDelete: pick(next, ACTIONS),
    onUpdate: pick(next, ACTIONS),
  }
  if (table.keys.some(other => other.columns.some(c => columns.includes(c)))) return
  if (next(3) === 0) db.createIndex(handles[t], `by${k}`, { on: [...columns] })
  db.addConstraint(handles[t], `key${k}`, {
    foreignKey: [...columns],
    references: handles[parent].definition,
    columns: [...parentColumns],
    onDelete: key.onDelete,
    onUpdate: key.onUpdate,
  })
  table.keys.push(key)
}

const maybe = <T>(next: Next, value: T): T | null => (next(2) === 0 ? null : value)

function randomRow(next: Next): AnyRow {
  return {
    k: next(6),
    n: next(4),
    t: pick(next, TEXTS),
    s: maybe(next, pick(next, TEXTS)),
    p: maybe(next, next(6)),
    u: maybe(next, next(4)),
    q: maybe(next, pick(next, TEXTS)),
  }
}

function randomWrites(next: Next, { model }: World): { table: number; row: AnyRow; weight: number }[] {
  const writes: { table: number; row: AnyRow; weight: number }[] = []
  for (let w = 1 + next(4); w > 0; w--) {
    const table = next(model.tables.length)
    const there = [...model.states[table].values()]
    const what = next(10)
    if (there.length > 0 && what < 3) writes.push({ table, row: pick(next, there).row, weight: -1 })
    else if (there.length > 0 && what < 7) {
      const { row } = pick(next, there)
      const changed = { ...row }
      const fresh = randomRow(next)
      for (const column of Object.keys(row)) if (next(3) === 0) changed[column] = fresh[column]
      writes.push({ table, row, weight: -1 }, { table, row: changed, weight: 1 })
    } else if (what === 9 && next(4) === 0) writes.push({ table, row: randomRow(next), weight: pick(next, [-1, 2]) })
    else writes.push({ table, row: randomRow(next), weight: 1 })
  }
  return writes
}

function expectSame({ handles, model: { states } }: World, where: string): void {
  handles.forEach((handle, t) => {
    const found = handle.entries().map(({ row, weight }) => `${rowKey(row)} ${weight}`)
    const wanted = [...states[t].values()].map(({ row, weight }) => `${rowKey(row)} ${weight}`)
    const [engine, model] = [found.sort().join('\n'), wanted.sort().join('\n')]
    if (engine !== model) throw new Error(`${where}: table ${t} should be\n${model}\nand is\n${engine}`)
  })
}

/** `worlds` databases with `steps` transactions each. Returns how many were applied and refused. */
export function campaign(seed: number, worlds: number, steps: number): { applied: number; refused: number } {
  const next = picker(seed)
  let [applied, refused] = [0, 0]
  for (let w = 0; w < worlds; w++) {
    const world = build(next, `w${w}`)
    for (let step = 0; step < steps; step++) {
      const writes = randomWrites(next, world)
      const where = `seed ${seed}, world ${w}, step ${step}`
      const broken = world.model.apply(writes)
      let error: unknown = null
      try {
        world.db.transact(tx => {
          for (const { table, row, weight } of writes) tx.add(world.handles[table], row, weight)
        })
      } catch (thrown) {
        error = thrown
      }
      if (error !== null && !(error instanceof ConstraintError)) throw error
      const said = error instanceof ConstraintError ? error.message : 'applied'
      if ((error === null) !== (broken === null)) {
        const list = writes.map(x => `${x.table} ${x.weight} ${rowKey(x.row)}`).join('\n')
        throw new Error(`${where}: the model says ${broken}, the engine: ${said}\n${list}`)
      }
      if (broken === null) applied++
      else refused++
      expectSame(world, where)
    }
  }
  return { applied, refused }
}
