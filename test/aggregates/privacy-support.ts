import { seededUniform, withNoise } from '../../src/circuit/privacy.js'

/** Noise on 0, drawn many times. */
export const discreteSamples = (mechanism: 'laplace' | 'gaussian', scale: number, count: number): number[] =>
  Array.from({ length: count }, (_, n) => {
    return Number(withNoise(0, { mechanism, scale, grid: 2 ** -10 }, seededUniform('test', [], n, 0)))
  })
