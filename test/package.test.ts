/** The package as others get it: what its manifest and its lock file promise is there. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = new URL('..', import.meta.url)
const read = (name: string) => JSON.parse(readFileSync(new URL(name, root), 'utf8'))

interface LockedPackage {
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

it('every entry point has a source', () => {
  const entries = Object.values<string | { types: string; default: string }>(read('package.json').exports)
  const built = entries.flatMap(entry => (typeof entry === 'string' ? [] : [entry.default]))
  expect(built).toHaveLength(5)
  for (const file of built) {
    const source = file.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts')
    expect(existsSync(fileURLToPath(new URL(source, root))), source).toBe(true)
  }
})

it('the lock file names no registry, and has the packages of every platform', () => {
  const packages: Record<string, LockedPackage> = read('package-lock.json').packages
  const missing: string[] = []
  for (const [path, { resolved, optionalDependencies = {} }] of Object.entries(packages)) {
    expect(resolved, path).toBeUndefined()
    // `npm ci` refuses a lock file that lacks one of them, on any platform.
    for (const name of Object.keys(optionalDependencies)) {
      if (packages[`node_modules/${name}`] === undefined && packages[`${path}/node_modules/${name}`] === undefined) {
        missing.push(`${name}, wanted by ${path}`)
      }
    }
  }
  expect(missing).toEqual([])
})
