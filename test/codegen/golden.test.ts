/** The generated text, byte by byte, and proof that hostile names do not execute. */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createContext, Script } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { rowDecoder } from '../../codegen/decode.js'
import { rowEncoder } from '../../codegen/encode.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { flatLayout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { Batch } from '../../src/zset/batch.js'
import { callAll, FOLDER, goldenFiles, HOSTILE_NAMES, hostileLayout, REGENERATE, stored } from '../golden/cases.js'

const files = goldenFiles()

describe('golden files', () => {
  test.each([...files.keys()])('%s', path => {
    expect(files.get(path), REGENERATE).toBe(stored(path))
  })

  test('no file is left over', () => {
    const found = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.js'))
    expect(found.map(name => name.replaceAll('\\', '/')).sort(), REGENERATE).toEqual([...files.keys()].sort())
  })

  test('another loader, which rewrites modules, gives the same text', () => {
    const script = fileURLToPath(new URL('../golden/write.ts', import.meta.url))
    const differing = (() => {
      try {
        return execFileSync(process.execPath, ['--import', 'tsx', script, '--check'], { encoding: 'utf8' })
      } catch (error) {
        return (error as { stdout: string }).stdout || String(error)
      }
    })()
    // Files that differ from the fixtures here, too, are the test above's business.
    const here = [...files].filter(([path, text]) => text !== stored(path)).map(([path]) => `differs: ${path}\n`)
    expect(differing).toBe(here.join(''))
  })
})

describe('hostile names', () => {
  const broken = () => (globalThis as { broken?: unknown }).broken

  test('generated files do nothing but define their function', () => {
    const hostile = [...files].filter(([path]) => path.startsWith('hostile/'))
    expect(hostile.length).toBeGreaterThan(10)
    for (const [path, text] of hostile) {
      const touched: string[] = []
      const watch = (what: string) => ({ exit: () => touched.push(what) })
      const constants = new Proxy({}, { get: () => () => 0 })
      const context = createContext({ $constants: constants, process: watch('process.exit') })
      const names = Object.keys(context).sort()
      const made: unknown = new Script(`(function () {${text}\n})()`).runInContext(context)
      expect(typeof made).toBe('function')
      expect(touched).toEqual([])
      expect(Object.keys(context).sort()).toEqual(names)
      // Nothing invisible.
      expect(text.replaceAll('\n', ''), path).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    }
  })

  test('kernels run on a hostile schema, and rows keep their names', () => {
    const layout = hostileLayout()
    const { schema } = layout
    callAll(kernelsOf(layout))
    const batch = new Batch(flatLayout(schema), 1)
    const values = schema.columns.map(
      (c): Value => (c.type === 'u64' ? 7n : c.type === 'string' ? `text ${c.index}` : c.index),
    )
    const row = Object.fromEntries(schema.columns.map((c, n) => [c.name, values[n]]))
    batch.length = rowEncoder(schema).fn([row], batch, 1n)
    const decoded = rowDecoder({ mode: 'compiled', unit: schema.name, provenance: [] }, batch.layout)(batch, 0)
    expect(Object.keys(decoded)).toEqual(HOSTILE_NAMES)
    expect(Object.values(decoded)).toEqual(values)
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
    expect(broken()).toBeUndefined()
  })
})
