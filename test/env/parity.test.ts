/** Without faults, the simulated Env answers as the real one does: random operations on both. */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { IoError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { CountingEnv } from '../../src/env/counting.js'
import { type Env, type EnvFile, joinPath } from '../../src/env/env.js'
import { NodeEnv } from '../../src/env/node.js'
import { SimulatedEnv } from '../../src/env/simulated.js'

/** One random operation; returns a text that describes what came of it. */
function operate(prng: Prng, env: Env, root: string, files: EnvFile[]): string {
  // What `Env` leaves open: opening, renaming and removing directories, syncing files as directories.
  const isDirectory = (name: string) => env.stat(name)?.isDirectory ?? false
  const path = () => joinPath(root, prng.pick(['a', 'b', 'd', 'd/a', 'd/b', 'none/a', 'a/x']))
  const file = () => files[prng.below(files.length)]
  const operations: (() => unknown)[] = [
    () => {
      const [name, mode] = [path(), prng.pick(['read', 'create', 'write'] as const)]
      return isDirectory(name) ? null : files.push(env.open(name, mode))
    },
    () => file()?.write(new Uint8Array(prng.below(50)).fill(prng.below(256)), prng.below(80)),
    () => file()?.truncate(prng.below(100)),
    () => {
      const into = new Uint8Array(prng.pick([60, 6000]))
      const count = file()?.read(into, prng.below(90))
      return [count, ...into]
    },
    () => file()?.size(),
    () => file()?.sync(),
    () => {
      const [bytes, from] = [new Uint8Array(prng.below(5000)).fill(prng.below(256)), prng.below(9000)]
      const opened = file()
      if (opened === undefined) return null
      // What it requires: zeros up to the end of the block.
      opened.write(new Uint8Array(bytes.length + 4096), from)
      return opened.writeThrough(bytes, from)
    },
    () => env.stat(path())?.isDirectory,
    () => env.list(path()),
    () => {
      const [from, to] = [path(), path()]
      return isDirectory(from) || isDirectory(to) ? null : env.rename(from, to)
    },
    () => {
      const name = path()
      return isDirectory(name) ? null : env.remove(name)
    },
    () => env.makeDirectory(joinPath(root, prng.pick(['d', 'e/f', 'a', 'a/x']))),
    () => {
      const name = joinPath(root, prng.pick(['d', 'none', '']))
      return env.stat(name)?.isDirectory === false ? null : env.syncDirectory(name)
    },
  ]
  const number = prng.below(operations.length + 1)
  if (number === operations.length) {
    if (files.length > 0) files.splice(prng.below(files.length), 1)[0].close()
    return 'closed'
  }
  if (files.length === 0 && [1, 2, 3, 4, 5, 6].includes(number)) return 'no file'
  try {
    return `${number}: ${JSON.stringify(operations[number]() ?? null)}`
  } catch (error) {
    if (!(error instanceof IoError)) throw error
    return `${number}: ${error.errno}`
  }
}

it('does what the file system does', () => {
  for (let seed = 0; seed < 8; seed++) {
    const root = fs.mkdtempSync(join(tmpdir(), 'gnitz-parity-'))
    const simulated = new SimulatedEnv({ seed })
    simulated.makeDirectory(root)
    const worlds = [new NodeEnv(), simulated, new CountingEnv(simulated)]
    const [real, made] = worlds.map(env => ({ env, prng: new Prng(seed), files: [] as EnvFile[] }))
    for (let step = 0; step < 200; step++) {
      const expected = operate(real.prng, real.env, root, real.files)
      const found = operate(made.prng, made.env, root, made.files)
      expect(found, `seed ${seed}, step ${step}\n${simulated.trace()}`).toBe(expected)
    }
    for (const file of real.files) file.close()
    fs.rmSync(root, { recursive: true })
  }
})
