// The last step of the build: parses every template with acorn and leaves the trees in dist, where the specialiser
// finds them by the template's text (see codegen/specialise/parsed.ts).
import { readdirSync, writeFileSync } from 'node:fs'
import { prepare } from '../dist/codegen/specialise/parse.js'

const templates = new URL('../dist/templates/', import.meta.url)
const entries = []
/** Single quotes, since the text itself is full of double ones. */
const quoted = text => `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
for (const file of readdirSync(templates).filter(name => name.endsWith('.js'))) {
  for (const template of Object.values(await import(new URL(file, templates)))) {
    if (typeof template !== 'function') continue
    const source = Function.prototype.toString.call(template)
    const json = prepare(source)
    if (json !== null) entries.push(`  [${quoted(source)}, ${quoted(json)}],\n`)
  }
}
writeFileSync(
  new URL('../dist/codegen/specialise/parsed.js', import.meta.url),
  `// Made by scripts/parse-templates.mjs.\nexport const PARSED = new Map([\n${entries.join('')}])\n`,
)
