/** The members of `Math` that expressions may call: pure functions of one or more numbers. */
import { assert } from '../../base/errors.js'

type Arity = readonly [least: number, most: number]

const ONE: Arity = [1, 1]
const TWO: Arity = [2, 2]
const MANY: Arity = [1, 64]

const unary = [
  ...['abs', 'floor', 'ceil', 'round', 'trunc', 'sign', 'sqrt', 'cbrt', 'fround', 'clz32'],
  ...['exp', 'expm1', 'log', 'log1p', 'log2', 'log10'],
  ...['sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh'],
]
const binary = ['pow', 'atan2', 'imul']
const variadic = ['min', 'max', 'hypot']

/** Function name → least and greatest number of arguments. A Map: names come from users' lambdas. */
export const MATH_ARITY: ReadonlyMap<string, Arity> = new Map([
  ...unary.map((name): [string, Arity] => [name, ONE]),
  ...binary.map((name): [string, Arity] => [name, TWO]),
  ...variadic.map((name): [string, Arity] => [name, MANY]),
])

export const isMathFunction = (name: string): boolean => MATH_ARITY.has(name)

/** Calls Math[name]. REQUIRES: isMathFunction(name). */
export function callMath(name: string, args: readonly number[]): number {
  assert(isMathFunction(name), `Math.${name} is a function of expressions`)
  const fn = Math[name as 'max'] as (...args: number[]) => number
  return fn(...args) + 0
}
