/**
 * The layers of the house: which folder may import what. The table is the specification; a folder that is not in it
 * is an error, so that a new one is placed on purpose.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript-5'
import { describe, expect, it } from 'vitest'

interface Layer {
  /** Folders of this repository it may import, besides itself. */
  readonly folders: readonly string[]
  /** Packages it may import. `node:*` stands for every built-in module. */
  readonly packages: readonly string[]
}

const CORE = ['src/base', 'src/schema', 'src/zset', 'src/circuit']
const BELOW_ENGINE = [...CORE, 'src/env', 'src/storage', 'src/sql', 'codegen']

const LAYERS: Readonly<Record<string, Layer>> = {
  'src/base': { folders: [], packages: ['xxhash-wasm', 'hash-wasm', 'xxhash-addon'] },
  'src/env': { folders: ['src/base'], packages: ['node:*', 'mmap-io'] },
  'src/schema': { folders: ['src/base'], packages: [] },
  'src/zset': { folders: ['src/base', 'src/schema'], packages: [] },
  'src/storage': { folders: ['src/base', 'src/env', 'src/schema', 'src/zset'], packages: [] },
  'src/circuit': { folders: ['src/base', 'src/schema', 'src/zset'], packages: ['acorn', 'estree'] },
  'src/sql': { folders: ['src/base', 'src/schema', 'src/circuit'], packages: [] },
  templates: { folders: [], packages: [] },
  codegen: { folders: [...CORE, 'templates'], packages: ['acorn', 'astring', 'estree'] },
  'src/engine': { folders: BELOW_ENGINE, packages: ['node:*', '@dagrejs/dagre'] },
  'src/sync': { folders: ['src/base', 'src/schema', 'src/zset', 'src/engine'], packages: [] },
  'src/streams': { folders: [...CORE, 'codegen', 'src/engine'], packages: [] },
  'src/testing': { folders: [...CORE, 'src/engine', 'src/streams'], packages: ['fast-check'] },
  'src/cli': {
    folders: [
      'src/base',
      'src/engine',
      'src/sync',
      'src/sql',
      'src',
      'src/env',
      'src/storage',
      'src/schema',
      'src/zset',
      'codegen',
    ],
    packages: ['node:*', 'tsx'],
  },
  'src/server': { folders: ['src/base', 'src/engine', 'src/sync', 'src/sql'], packages: ['node:*'] },
  // `src/index.ts`, the public face.
  src: { folders: [...CORE, 'src/engine'], packages: [] },
  demo: { folders: ['src', 'src/storage'], packages: ['node:*', 'hyparquet', 'hyparquet-compressors'] },
}

/** The only file that may turn text into code. */
const LOADER = 'codegen/load.ts'

interface SourceFile {
  /** Path from the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
}

/** Longest folder of the table that holds `path`; files directly in `src` belong to `src`. */
function layerOf(path: string): string | null {
  const folder = posix.dirname(path)
  const parts = folder.split('/')
  if (parts[0] !== 'src') return Object.hasOwn(LAYERS, parts[0]) ? parts[0] : null
  const layer = parts.slice(0, 2).join('/')
  return Object.hasOwn(LAYERS, layer) ? layer : null
}

/** Package of a bare specifier: `@scope/name/file` is `@scope/name`, `node:fs` is `node:*`. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node:*'
  const parts = specifier.split('/')
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]
}

/** What is wrong with one import, or null. */
function judgeImport(file: SourceFile, layer: string, specifier: string): string | null {
  const { folders, packages } = LAYERS[layer]
  if (!specifier.startsWith('.')) {
    const name = packageOf(specifier)
    if (packages.includes(name)) return null
    return `${file.path}: ${layer} may import ${list(packages)}, found package '${specifier}'`
  }
  const target = posix.join(posix.dirname(file.path), specifier)
  const targetLayer = layerOf(target)
  if (targetLayer === layer || (targetLayer !== null && folders.includes(targetLayer))) return null
  return `${file.path}: ${layer} may import ${list(folders)}, found '${specifier}' in ${targetLayer ?? 'no layer'}`
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ')
}

/** Does the file call `eval` or make a `Function` from text? Parsed, so that a comment about it is no offence. */
function makesCode(file: SourceFile): boolean {
  if (!/\b(Function|eval)\b/.test(file.text)) return false
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest)
  const isMaker = (node: ts.Node): boolean => {
    if (!ts.isNewExpression(node) && !ts.isCallExpression(node)) return false
    return ts.isIdentifier(node.expression) && ['Function', 'eval'].includes(node.expression.text)
  }
  const visit = (node: ts.Node): boolean =>
    isMaker(node) || ts.forEachChild(node, child => visit(child) || undefined) === true
  return visit(source)
}

/** Every broken rule among `files`, one line each. */
function violations(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  for (const file of files) {
    const layer = layerOf(file.path)
    if (layer === null) {
      found.push(`${file.path}: its folder is not in the table of layers`)
      continue
    }
    for (const { fileName } of ts.preProcessFile(file.text, true, true).importedFiles) {
      const problem = judgeImport(file, layer, fileName)
      if (problem !== null) found.push(problem)
    }
    if (file.path !== LOADER && makesCode(file)) found.push(`${file.path}: only ${LOADER} may make code from text`)
  }
  return found
}

function readSources(root: string, folders: readonly string[]): SourceFile[] {
  return folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && /\.(ts|js)$/.test(entry.name))
      .map(entry => {
        const path = join(entry.parentPath, entry.name)
        return { path: relative(root, path).split(sep).join('/'), text: readFileSync(path, 'utf8') }
      }),
  )
}

describe('layers', () => {
  it('hold in the sources', () => {
    const root = dirname(dirname(fileURLToPath(import.meta.url)))
    const files = readSources(root, ['src', 'codegen', 'templates', 'demo'])
    expect(files.length).toBeGreaterThan(20)
    expect(violations(files)).toEqual([])
  })
})

describe('the checker', () => {
  const check = (path: string, text: string) => violations([{ path, text }])

  it('accepts imports down the layers and inside one', () => {
    expect(
      check('src/zset/batch.ts', `import { u64 } from '../schema/types.js'\nimport { x } from './heap.js'`),
    ).toEqual([])
    expect(check('codegen/specialise/parse.ts', `import { parse } from 'acorn'\nimport '../ast.js'`)).toEqual([])
    expect(check('codegen/kernels.ts', `import { merge } from '../templates/merge.js'`)).toEqual([])
    expect(check('src/engine/database.ts', `import { load } from '../../codegen/load.js'`)).toEqual([])
    expect(check('src/index.ts', `export { open } from './engine/database.js'`)).toEqual([])
    expect(
      check('demo/main.ts', `import { open } from '../src/index.js'\nimport { parseArgs } from 'node:util'`),
    ).toEqual([])
  })

  it.each([
    ['src/schema/types.ts', `import { Batch } from '../zset/batch.js'`],
    ['src/schema/types.ts', `import type { Batch } from '../zset/batch.js'`],
    ['src/schema/types.ts', `export * from '../zset/batch.js'`],
    ['src/circuit/lower.ts', `const { load } = await import('../../codegen/load.js')`],
    ['src/circuit/lower.ts', `import { open } from '../engine/database.js'`],
    ['src/testing/laws.ts', `import { load } from '../../codegen/load.js'`],
    ['src/zset/batch.ts', `import fs from 'node:fs'`],
    ['src/zset/batch.ts', `import fs from 'fs'`],
    ['codegen/load.ts', `import vm from 'node:vm'`],
    ['src/circuit/expr.ts', `import fc from 'fast-check'`],
    ['templates/merge.js', `import { x } from './other.js'\nimport { y } from '../src/base/errors.js'`],
    ['demo/main.ts', `import { Batch } from '../src/zset/batch.js'`],
    ['demo/main.ts', `import { Engine } from '../src/engine/database.js'`],
    ['src/surprise/file.ts', ''],
    ['src/engine/database.ts', `const f = new Function('return 1')`],
    ['src/circuit/eval.ts', `export const x = () => { return [eval('1')] }`],
  ])('refuses %s: %s', (path, text) => {
    expect(check(path, text)).toHaveLength(1)
  })

  it('says who imported what', () => {
    expect(check('src/schema/types.ts', `import { Batch } from '../zset/batch.js'`)).toEqual([
      `src/schema/types.ts: src/schema may import src/base, found '../zset/batch.js' in src/zset`,
    ])
  })

  it('does not mind talk about it', () => {
    expect(
      check('src/base/errors.ts', `// new Function(text)\nexport const hint = "import 'node:fs' or new Function()"`),
    ).toEqual([])
  })

  it('lets the loader load', () => {
    expect(check(LOADER, `new Function('return 1')`)).toEqual([])
  })
})
