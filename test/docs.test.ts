/**
 * The documents tell the truth: code in them comes from files, output below it is what those files print, and
 * commands, paths and operators that they name exist. `npx vitest run test/docs.test.ts -u` brings them up to date.
 *
 * In a document `<!-- excerpt: path -->` or `<!-- excerpt: path#function -->` stands before a code block that holds
 * that file (without its header comment) or function; `<!-- output: path -->` before what an example prints, and
 * `<!-- output: path#kernel -->` before one generated function of that.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { Query } from '../src/index.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The documents in a folder. */
function pages(folder: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter(name => name.endsWith('.md'))
    .map(name => `${folder}/${name}`)
}

const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'codegen/README.md', 'templates/README.md', ...pages('docs')]
const EXAMPLES = readdirSync(join(ROOT, 'examples'))
  .filter(name => name.endsWith('.ts'))
  .map(name => `examples/${name}`)

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** Imports the examples one after the other in this process and prints what each printed, as JSON. */
const RUNNER = `
import { format } from 'node:util'
const printed = {}
for (const [path, url] of JSON.parse(process.env.EXAMPLES)) {
  let text = ''
  console.log = (...values) => { text += format(...values) + '\\n' }
  await import(url)
  printed[path] = text
}
process.stdout.write(JSON.stringify(printed))
`

/** What each example prints, run as a user would run it. Throws if one fails. */
async function runExamples(): Promise<Readonly<Record<string, string>>> {
  const urls = EXAMPLES.map(path => [path, pathToFileURL(join(ROOT, path)).href])
  const env = { ...process.env, EXAMPLES: JSON.stringify(urls) }
  const args = ['--import', 'tsx', '--input-type=module', '--eval', RUNNER]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env })
  return JSON.parse(stdout) as Record<string, string>
}

/** `export function name` of a file, or the file without its header comment. */
function excerpt(path: string, name: string | undefined): string {
  const text = read(path)
  if (name === undefined) return text.replace(/^\/\*\*[\s\S]*?\*\/\n/, '')
  const start = text.indexOf(`export function ${name}(`)
  if (start < 0) throw new Error(`${path}: expected a function ${name}, found none`)
  return text.slice(start, text.indexOf('\n}\n', start) + 3)
}

/** The whole output, or the function that was loaded as \`…/name.js\`. */
function output(printed: string, name: string | undefined): string {
  if (name === undefined) return printed
  const start = printed.indexOf(`function ${name}(`)
  if (start < 0) throw new Error(`expected a generated function ${name}, found none`)
  return printed.slice(start, printed.indexOf('\n}\n', start) + 3)
}

const MARKED = /<!-- (excerpt|output): ([^ #]+)(?:#(\S+))? -->\n```(\w+)\n(?:[\s\S]*?\n)??```\n/g

/** The document with the contents of all marked blocks replaced by what they should be. */
function refreshed(text: string, printed: Readonly<Record<string, string>>): string {
  return text.replace(MARKED, (_, kind: string, path: string, name: string | undefined, language: string) => {
    const content = kind === 'excerpt' ? excerpt(path, name) : output(printed[path], name)
    const mark = `${kind}: ${path}${name === undefined ? '' : `#${name}`}`
    return `<!-- ${mark} -->\n\`\`\`${language}\n${content.trim()}\n\`\`\`\n`
  })
}

describe('documents', () => {
  let printed: Readonly<Record<string, string>> = {}
  beforeAll(async () => {
    printed = await runExamples()
  }, 120_000)

  it.each(DOCUMENTS)('%s shows the code and output of files as they are', async path => {
    await expect(refreshed(read(path), printed)).toMatchFileSnapshot(join(ROOT, path))
  })

  it.each(DOCUMENTS)('%s has no TypeScript that is not an example', path => {
    const unmarked = read(path).replace(MARKED, '')
    expect(unmarked.match(/```ts\n/g) ?? []).toEqual([])
  })

  it.each(DOCUMENTS)('%s names files that exist', path => {
    const folders = 'docs|src|codegen|templates|test|examples|bench|demo|bin|fixtures'
    const named = read(path).matchAll(new RegExp(`[\`(]((?:${folders})/[\\w./-]*[\\w/])[\`)#]`, 'g'))
    const missing = [...named].map(([, name]) => name).filter(name => !existsSync(join(ROOT, name)))
    expect(missing).toEqual([])
  })

  it.each(DOCUMENTS)('%s names scripts that exist', path => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = Array.from(read(path).matchAll(/npm run ([\w:-]+)/g), ([, name]) => name)
    expect(named.filter(name => !Object.hasOwn(scripts, name))).toEqual([])
  })

  it('the README lists every operator of the builder, and an example uses it', () => {
    const operators = Object.getOwnPropertyNames(Query.prototype).filter(n => n !== 'constructor' && n !== 'schema')
    const readme = read('README.md')
    const example = read('examples/operators.ts')
    expect(operators.filter(name => !readme.includes(`\`${name}(`) && !readme.includes(`.${name}(`))).toEqual([])
    expect(operators.filter(name => !example.includes(`.${name}(`))).toEqual([])
  })
})
