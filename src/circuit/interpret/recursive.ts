/** Recursion by definition: iterate from nothing until nothing changes. */
import { divergence, type Loop, type RecursiveProgram } from '../rel.js'
import type { Context } from './context.js'
import { addRow, type Row, rowText, sameZSet, type ZSet } from './zset.js'

interface Evaluation {
  readonly rows: ZSet[]
  readonly context: Context
}

/**
 * The variables of the program. `evaluate` computes all bodies over given variables, as sets. The failures of the last
 * iteration count. A program that is not at its end after `limit` iterations has empty variables, and failed.
 */
export function solve(
  program: RecursiveProgram,
  evaluate: (variables: readonly ZSet[]) => Evaluation,
  context: Context,
): readonly ZSet[] {
  const nothing: ZSet[] = program.variables.map(() => new Map())
  const first = evaluate(nothing)
  let known = nothing
  let next = first
  for (let iterations = 0; iterations <= program.limit; iterations++) {
    if (next.rows.every((rows, k) => sameZSet(rows, known[k]))) {
      context.merge(next.context)
      return known
    }
    known = next.rows
    next = evaluate(known)
  }
  context.merge(first.context)
  context.fail(divergence(program), 1n)
  return nothing
}

/**
 * The variables of a lowered recursion, rows with the iteration in which they come. `evaluate` computes the derivations.
 * A row comes as soon as the weights of its derivations up to an iteration add up to more than 0.
 */
export function solveTimed(
  { program, variables, delays }: Loop,
  evaluate: (variables: readonly ZSet[]) => Evaluation,
  context: Context,
): readonly ZSet[] {
  const nothing: ZSet[] = variables.map(() => new Map())
  const first = evaluate(nothing)
  const last = program.limit + 1
  let known = nothing
  let derived = first
  // Each iteration takes as many rounds as there are variables, at most.
  for (let round = 0; round <= (last + 1) * variables.length; round++) {
    const next = derived.rows.map((rows, k) => arrivals(rows, delays[k], last))
    if (next.every((rows, k) => sameZSet(rows, known[k]))) break
    known = next
    derived = evaluate(known)
  }
  const own = known.slice(0, program.variables.length)
  const isLate = own.some(rows => [...rows.values()].some(({ row }) => Number(row[row.length - 1]) > program.limit))
  context.merge((isLate ? first : derived).context)
  if (isLate) context.fail(divergence(program), 1n)
  return isLate ? nothing : known
}

/** Rows with the iteration in which they come, from their derivations; none after `last`. */
function arrivals(derivations: ZSet, delay: number, last: number): ZSet {
  const byRow = new Map<string, { row: Row; time: number; weight: bigint }[]>()
  for (const { row, weight } of derivations.values()) {
    const own = row.slice(0, -1)
    const list = byRow.get(rowText(own)) ?? []
    byRow.set(rowText(own), list)
    list.push({ row: own, time: Number(row[row.length - 1]), weight })
  }
  const result: ZSet = new Map()
  for (const list of byRow.values()) {
    let sum = 0n
    for (const { row, time, weight } of list.sort((a, b) => a.time - b.time)) {
      // A row and an iteration occur once in a Z-set.
      sum += weight
      if (sum <= 0n) continue
      if (time + delay <= last) addRow(result, [...row, time + delay], 1n)
      break
    }
  }
  return result
}
