// The last step of the build: parses every template with acorn and leaves the trees in dist, where the specialiser
// finds them by the template's text (see codegen/specialise/parsed.ts).
import { readdirSync, writeFileSync } from 'node:fs'
import { parseExpressionAt } from 'acorn'

const templates = new URL('../dist/templates/', import.meta.url)
const trees = []
for (const file of readdirSync(templates).filter(name => name.endsWith('.js'))) {
  for (const template of Object.values(await import(new URL(file, templates)))) {
    if (typeof template !== 'function') continue
    const source = Function.prototype.toString.call(template)
    const tree = parseExpressionAt(source, 0, { ecmaVersion: 2022 })
    // The value of a big integer follows from its digits; `end` serves nobody.
    const json = JSON.stringify(tree, (key, value) => (typeof value === 'bigint' || key === 'end' ? undefined : value))
    trees.push([source, json])
  }
}
const text = JSON.stringify(JSON.stringify(trees))
writeFileSync(
  new URL('../dist/codegen/specialise/parsed.js', import.meta.url),
  `// Made by scripts/parse-templates.mjs.\nexport const PARSED = new Map(JSON.parse(${text}))\n`,
)
