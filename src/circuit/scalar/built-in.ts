/** Functions of ours that go by name like those of users, and are found again by it where circuits are read. */
import { GnitzError } from '../../base/errors.js'
import { hashText, valueText } from '../../base/value-hash.js'
import type { Udf } from '../expr.js'

const HASH = /^gnitz hash (\d{1,10})$/
const known = new Map<string, Udf>()

/** The function of this name, or undefined if it is none of ours. */
export function findBuiltIn(name: string): Udf | undefined {
  const found = known.get(name)
  if (found !== undefined) return found
  const seed = HASH.exec(name)?.[1]
  if (seed === undefined) return undefined
  const udf: Udf = Object.freeze({ name, fn: hashWith(Number(seed)) })
  known.set(name, udf)
  return udf
}

/** REQUIRES: the name is one of ours. */
export function builtInUdf(name: string): Udf {
  const udf = findBuiltIn(name)
  if (udf === undefined) throw new GnitzError('INTERNAL', `there is no function ${name}`)
  return udf
}

/** 64 bits of all arguments. */
const hashWith =
  (seed: number) =>
  (...values: readonly unknown[]): bigint => {
    const [low, high] = hashText(values.map(valueText).join('\u0000'), seed)
    return (BigInt(high) << 32n) | BigInt(low)
  }
