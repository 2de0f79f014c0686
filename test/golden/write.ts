/** `npm run fixtures`: writes the golden files anew. With `--check` it only says which of them differ. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FOLDER, goldenFiles, stored } from './cases.js'

const files = goldenFiles()
const changed = [...files].filter(([path, text]) => stored(path) !== text).map(([path]) => path)

if (process.argv.includes('--check')) {
  for (const path of changed) console.log(`differs: ${path}`)
  process.exitCode = changed.length === 0 ? 0 : 1
} else {
  for (const path of changed) {
    const target = fileURLToPath(new URL(path, FOLDER))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, files.get(path) ?? '')
    console.log(`written: ${path}`)
  }
  for (const path of readdirSync(FOLDER, { recursive: true, withFileTypes: true })) {
    if (!path.isFile()) continue
    const name = `${path.parentPath}/${path.name}`
      .slice(fileURLToPath(FOLDER).length)
      .replaceAll('\\', '/')
      .replace(/^\//, '')
    if (files.has(name)) continue
    rmSync(new URL(name, FOLDER))
    console.log(`removed: ${name}`)
  }
  console.log(`${files.size} files, ${changed.length} changed`)
}
