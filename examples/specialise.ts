/** The specialiser on its own: a template, run as it stands and specialised. */
import { load, type SpecialisedFunction, specialise } from 'gnitz/codegen'

interface Column {
  readonly name: string
  readonly index: number
  readonly nullable: boolean
}

interface Rows {
  readonly columns: readonly Float64Array[]
}

/** Names that begin with `$` are known at compile time. */
export function total($columns: readonly Column[], batch: Rows, from: number, to: number): number {
  let sum = 0
  for (let i = from; i < to; i++) {
    for (const $c of $columns) {
      if ($c.nullable) continue
      sum += batch.columns[$c.index][i]
    }
  }
  return sum
}

const $columns: Column[] = [
  { name: 'id', index: 0, nullable: false },
  { name: 'discount', index: 1, nullable: true },
  { name: 'price', index: 2, nullable: false },
]
const specialised: SpecialisedFunction = specialise(total, { $columns }, { name: 'total' })
const { fn, source } = load<(rows: Rows, from: number, to: number) => number>({
  unit: 'orders',
  kernel: 'total',
  provenance: ['an example'],
  functions: [specialised],
  exports: 'total',
})

const rows: Rows = { columns: [Float64Array.of(1, 2), Float64Array.of(9, 9), Float64Array.of(10, 20)] }
console.log(source)
console.log(fn(rows, 0, 2) === total($columns, rows, 0, 2))
