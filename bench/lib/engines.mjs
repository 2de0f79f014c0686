// Which engines there are: the adapters and the limits, who is a peer and who
// runs by default. What an adapter supports it says itself (its `variants`).
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = p => fileURLToPath(new URL(p, import.meta.url))

const ADAPTERS = [
  'adapters/gnitz',
  'limits/js-rows',
  'adapters/sqlite',
  'adapters/db-ivm',
  'adapters/duckdb',
  'adapters/zql',
  'adapters/d2ts',
  'adapters/pglite',
]

// Limits with a driver of their own.
const STANDALONE = {
  'limit-c': { script: 'limits/c-limit.mjs', supports: ['W1', 'W2', 'W3', 'W4'] },
  'limit-js': { script: 'limits/js-limit.mjs', supports: ['W1', 'W2'] },
}

export const OURS = ['gnitz', 'gnitz-columns']
const FAST = [
  ...OURS,
  'limit-c',
  'limit-js',
  'limit-js-rows',
  'sqlite-triggers',
  'db-ivm',
  'db-ivm-reduce',
  'duckdb-recompute',
]

/** Neither ours nor a hand-written limit. */
export const isPeer = name => !OURS.includes(name) && !name.startsWith('limit-')

// The adapters import their engines at the top; the headers are read in a
// child so that this process stays small and a broken engine harms nobody.
function header(adapter) {
  const url = new URL(`../${adapter}.mjs`, import.meta.url).href
  const code = `const m = await import(${JSON.stringify(url)}); console.log(JSON.stringify(m.variants)); process.exit(0)`
  try {
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return { variants: JSON.parse(text) }
  } catch (e) {
    const lines = String(e.stderr ?? e.message).split('\n')
    return { error: lines.find(l => /Error|Cannot find/.test(l))?.trim() ?? lines[0] }
  }
}

/**
 * Every engine that can run here: { name, supports, why, fast, args(workload, scale, budgetMs) }.
 * `missing` lists those that cannot, each with the reason.
 */
export function findEngines() {
  const engines = []
  const missing = []
  for (const adapter of ADAPTERS) {
    if (adapter.endsWith('/zql') && !existsSync(here('../zero/node_modules'))) {
      missing.push({
        name: 'zql',
        why: 'not installed: npm --prefix bench/zero install --ignore-scripts --no-package-lock',
      })
      continue
    }
    if (adapter.endsWith('/gnitz') && !existsSync(here('../../dist/src/index.js'))) {
      for (const name of OURS) missing.push({ name, why: 'not built: npm run build' })
      continue
    }
    const { variants, error } = header(adapter)
    if (error) missing.push({ name: adapter, why: `does not load: ${error}` })
    else for (const [name, v] of Object.entries(variants)) engines.push(adapted(adapter, name, v))
  }
  for (const [name, { script, supports }] of Object.entries(STANDALONE)) {
    engines.push({ name, supports, why: {}, fast: true, args: (w, scale) => [here(`../${script}`), w, String(scale)] })
  }
  const rank = e => (FAST.includes(e.name) ? FAST.indexOf(e.name) : FAST.length)
  engines.sort((a, b) => rank(a) - rank(b))
  return { engines, missing }
}

function adapted(adapter, name, variant) {
  const url = new URL(`../${adapter}.mjs`, import.meta.url).href
  return {
    name,
    supports: variant.supports,
    why: variant.why ?? {},
    fast: FAST.includes(name),
    args: (w, scale, budgetMs) => [
      '--expose-gc',
      '--max-old-space-size=8192',
      here('./child.mjs'),
      url,
      name,
      w,
      String(scale),
      String(budgetMs),
    ],
  }
}
