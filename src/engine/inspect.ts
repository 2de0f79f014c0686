/** What users see of a circuit: plans, generated source, and both of them as files. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Operator } from './operators/operator.js'
import { renderPlan } from './plan-render.js'

export type PlanFormat = 'text' | 'dot' | 'svg'

/** Operators as a graph. */
export function renderView(operators: readonly Operator[], format: PlanFormat): string {
  const idOf = (operator: Operator) => `${operator.kind}${operator.id}`
  const nodes = operators.map(operator => ({
    id: idOf(operator),
    label: `${operator.kind} ${operator.id}`,
    details: operator.details(),
    inputs: [...new Set(operator.inputs())].map(idOf),
  }))
  return renderPlan({ nodes }, format)
}

/** The generated functions of all operators; one that serves several operators is shown once. */
export function sourceOf(name: string, operators: readonly Operator[]): string {
  const shown = new Set<string>()
  const parts: string[] = [comment(`The code of view ${JSON.stringify(name)}, in the order in which it runs.`)]
  for (const operator of operators) {
    const texts = [...operator.sources().values()].filter(text => !shown.has(text))
    if (texts.length === 0) continue
    parts.push(`\n${comment(`---- ${operator.kind} ${operator.id}: ${operator.details().join('; ')}`)}`)
    for (const text of texts) {
      shown.add(text)
      parts.push(`${text.trimEnd()}\n\n`)
    }
  }
  return parts.join('')
}

const comment = (text: string): string => `// ${text.replaceAll(/[\r\n\u2028\u2029]/g, ' ')}\n`

/** A file name made of any name, different from those in `taken`, also where case does not count. */
function fileName(name: string, taken: Set<string>): string {
  const safe = name.replaceAll(/[^A-Za-z0-9_-]/g, c => `%${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const base = safe.slice(0, 100)
  let unique = base
  for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${base}~${n}`
  taken.add(unique.toLowerCase())
  return unique
}

export interface DumpView {
  readonly name: string
  plan(options: { format: PlanFormat }): string
  source(): string
  stats(): object
}

/** Writes plan (text, DOT, SVG), source and statistics of every view under `dir`. Returns the paths. */
export function dumpViews(dir: string, views: Iterable<DumpView>): string[] {
  const written: string[] = []
  const taken = new Set<string>()
  const write = (path: string, text: string) => {
    writeFileSync(path, text)
    written.push(path)
  }
  for (const view of views) {
    const folder = join(dir, fileName(view.name, taken))
    mkdirSync(folder, { recursive: true })
    write(join(folder, 'plan.txt'), view.plan({ format: 'text' }))
    write(join(folder, 'plan.dot'), view.plan({ format: 'dot' }))
    write(join(folder, 'plan.svg'), view.plan({ format: 'svg' }))
    write(join(folder, 'source.js'), view.source())
    write(join(folder, 'stats.json'), `${JSON.stringify(view.stats(), null, 2)}\n`)
  }
  return written
}
