/** Loads a user's module, TypeScript or JavaScript, and finds the definitions it exports. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ViewDef } from '../index.js'
import { CliError } from './cli-error.js'

/**
 * The view definitions that the module at `path` exports: by name, as default, or in an array or object that is
 * exported. Each once, in the order of export names.
 * Throws CliError when there is no such file, when it exports no view, or when TypeScript cannot be read; whatever
 * the module throws while it is loaded passes through.
 */
export async function loadViews(path: string): Promise<ViewDef<unknown>[]> {
  const exports = await importModule(path)
  const values = Object.values(exports).flatMap(value => (isContainer(value) ? Object.values(value) : [value]))
  const views = [...new Set(values.filter(isView))]
  if (views.length > 0) return views
  const names = Object.keys(exports)
  const found = names.length === 0 ? 'it exports nothing' : `its exports are: ${names.join(', ')}`
  throw new CliError(`${path}: expected a module that exports at least one view(…); ${found}`)
}

function isView(value: unknown): value is ViewDef<unknown> {
  return kindOf(value) === 'view'
}

function kindOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
}

/** An array or a plain object that is no definition itself. */
function isContainer(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || kindOf(value) !== undefined) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype || prototype === null
}

export async function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  const file = resolve(path)
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) throw new CliError(`${path}: no such file`)
  if (!stat.isFile()) throw new CliError(`${path}: expected a file, found a folder`)
  const url = pathToFileURL(file).href
  if (!/\.[mc]?tsx?$/.test(file)) return await import(url)
  const unregister = await registerTypeScript(path)
  try {
    return await import(url)
  } finally {
    await unregister()
  }
}

/**
 * Lets `import` read TypeScript by way of tsx, which the user may or may not have. Registered for the whole process,
 * so that the module and this command share one instance of gnitz.
 */
async function registerTypeScript(path: string): Promise<() => Promise<void>> {
  try {
    const esm = (await import('tsx/esm/api')).register()
    // A package that is not `"type": "module"` has its TypeScript loaded by `require`.
    const cjs = (await import('tsx/cjs/api')).register()
    return async () => {
      cjs()
      await esm()
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new CliError(`${path}: reading TypeScript needs the package tsx; install it: npm install --save-dev tsx`)
    }
    throw error
  }
}
