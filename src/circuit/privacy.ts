/**
 * Noise for differential privacy, on a grid: a value is rounded to a multiple of the grid, and the noise is one, too, so
 * the last bits of a released double say nothing about the value (Mironov 2012).
 *
 * Laplace noise is discrete: the difference of two geometric numbers, P(k) ~ exp(-|k| grid / b). Gaussian noise is a
 * normal number (Box and Muller) rounded to the grid. Both are computed with doubles, from 53 random bits a number, so
 * what is less likely than 2^-53 never happens.
 */
import { hashText } from '../base/value-hash.js'
import type { Value } from '../schema/types.js'
import { canonicalFloat } from '../schema/values.js'
import { valueText } from './interpret/zset.js'
import type { Noise, NoiseRel } from './rel.js'

/** Numbers from 0 (excluded) to 1 (included), 53 random bits each. */
export type Uniform = () => number

/** A value as it is released. Integers stay integers. */
export function withNoise(value: number | bigint, noise: Noise, uniform: Uniform): number | bigint {
  const steps = noise.mechanism === 'laplace' ? discreteLaplace(noise, uniform) : gaussian(noise, uniform)
  if (typeof value === 'bigint') return BigInt.asIntN(64, value + BigInt(Math.round(steps * noise.grid)))
  return canonicalFloat((Math.round(value / noise.grid) + steps) * noise.grid)
}

function discreteLaplace({ scale, grid }: Noise, uniform: Uniform): number {
  const geometric = () => Math.floor((-Math.log(uniform()) * scale) / grid)
  return geometric() - geometric()
}

function gaussian({ scale, grid }: Noise, uniform: Uniform): number {
  const radius = Math.sqrt(-2 * Math.log(uniform()))
  return Math.round((radius * Math.cos(2 * Math.PI * uniform()) * scale) / grid)
}

/** What a seed, a group, the number of its release and the column decide, and nothing else. */
export function seededUniform(seed: string, group: readonly Value[], release: number, column: number): Uniform {
  let draw = 0
  return () => {
    const [low, high] = hashText([seed, ...group.map(valueText), release, column, draw++].join('\u0000'))
    return ((high >>> 5) * 67108864 + (low >>> 6) + 1) / 2 ** 53
  }
}

/** The values of a group's row as they are released the n-th time, counted from 0. */
export function release(
  { noises, seed, keyCount }: Pick<NoiseRel, 'noises' | 'seed' | 'keyCount'>,
  row: readonly Value[],
  n: number,
  secure: Uniform,
): Value[] {
  const group = row.slice(0, keyCount)
  const values = noises.map((noise, i) => {
    const uniform = seed === null ? secure : seededUniform(seed, group, n, i)
    return withNoise(row[keyCount + i] as number | bigint, noise, uniform)
  })
  return [...group, ...values]
}

/** The message of a group that may not be released any more. */
export const budgetSpent = (name: string): string =>
  `the privacy budget of ${JSON.stringify(name)} is spent: a group has changed and is not released again`
