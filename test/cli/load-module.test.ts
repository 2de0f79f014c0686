/** Loading a user's module for `gnitz inspect`, on modules made for each test. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CliError } from '../../src/cli/cli-error.js'
import { loadViews } from '../../src/cli/load-module.js'

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'gnitz-cli-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const write = (name: string, text: string): string => {
  const file = join(dir, name)
  writeFileSync(file, text)
  return file
}
const namesIn = async (file: string) => (await loadViews(file)).map(view => view.schema.name)
const VIEW = (name: string) => `{ kind: 'view', schema: { name: '${name}' } }`

describe('loadViews', () => {
  it('finds named, default and contained views, each once', async () => {
    const file = write(
      'all.mjs',
      `const a = ${VIEW('a')}
       export const table = { kind: 'table', schema: { name: 't' } }
       export const b = ${VIEW('b')}
       export const list = [a, ${VIEW('c')}, 7, null]
       export const nothing = null
       export function helper() {}
       export { a as again }
       export default { a, d: ${VIEW('d')} }`,
    )
    expect((await namesIn(file)).sort()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('says what it found instead', async () => {
    await expect(loadViews(write('none.mjs', 'export const x = 1, y = 2'))).rejects.toThrow(
      /none\.mjs: expected a module that exports at least one view\(…\); its exports are: x, y/,
    )
    await expect(loadViews(write('empty.mjs', ''))).rejects.toThrow(/it exports nothing/)
  })

  it('says what is no module', async () => {
    mkdirSync(join(dir, 'folder.js'))
    await expect(loadViews(join(dir, 'absent.mjs'))).rejects.toThrow(/absent\.mjs: no such file/)
    await expect(loadViews(join(dir, 'folder.js'))).rejects.toThrow(/expected a file, found a folder/)
    await expect(loadViews(join(dir, 'absent.mjs'))).rejects.toBeInstanceOf(CliError)
  })

  it('passes on what the module throws', async () => {
    await expect(loadViews(write('throws.mjs', `throw new RangeError('mine')`))).rejects.toThrow(new RangeError('mine'))
  })
})
