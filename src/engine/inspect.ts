/** What users see of a circuit: plans, generated source, and both of them as files. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Operator } from './operators/operator.js'
import { renderPlan } from './plan-render.js'

export type PlanFormat = 'text' | 'dot' | 'svg'

/** Operators as a graph. */
export function renderView(_name: string, operators: readonly Operator[], format: PlanFormat): string {
  const idOf = (operator: Operator) => `${operator.kind}${operator.id}`
  const nodes = operators.map((operator) => ({
    id: idOf(operator),
    label: `${operator.kind} ${operator.id}`,
    details: operator.describe(),
    inputs: [...new Set(operator.inputs())].map(idOf),
  }))
  return renderPlan({ nodes }, format)
}

/** The generated functions of all operators; one that serves several operators is shown once. */
export function sourceOf(name: string, operators: readonly Operator[]): string {
  const shown = new Set<string>()
  const parts: string[] = [`// The code of view ${JSON.stringify(name)}, in the order in which it runs.\n`]
  for (const operator of operators) {
    const texts = [...operator.sources().values()].filter((text) => !shown.has(text))
    if (texts.length === 0) continue
    parts.push(`\n// ---- ${operator.kind} ${operator.id}: ${operator.describe().join('; ').replaceAll(/[\r\n\u2028\u2029]/g, ' ')}\n`)
    for (const text of texts) {
      shown.add(text)
      parts.push(`${text.trimEnd()}\n\n`)
    }
  }
  return parts.join('')
}

/** A file name made of any name. */
export function fileName(name: string): string {
  const safe = name.replaceAll(/[^A-Za-z0-9_-]/g, (c) => `%${c.codePointAt(0)?.toString(16)}`)
  return safe.length > 100 ? safe.slice(0, 100) : safe
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
  const write = (path: string, text: string) => {
    writeFileSync(path, text)
    written.push(path)
  }
  for (const view of views) {
    const folder = join(dir, fileName(view.name))
    mkdirSync(folder, { recursive: true })
    write(join(folder, 'plan.txt'), view.plan({ format: 'text' }))
    write(join(folder, 'plan.dot'), view.plan({ format: 'dot' }))
    write(join(folder, 'plan.svg'), view.plan({ format: 'svg' }))
    write(join(folder, 'source.js'), view.source())
    write(join(folder, 'stats.json'), `${JSON.stringify(view.stats(), null, 2)}\n`)
  }
  return written
}
