/**
 * From a template and its statics to a function that runs: specialised, or generic (the template itself with its
 * leading `$` parameters bound). Every kernel of gnitz is made by one of these two calls.
 */
import { load } from './load.js'
import { specialise, staticParameters } from './specialise/index.js'
import type { Template } from './specialise/types.js'

/** `compiled` is what the engine runs; `generic` is the reference. */
export type Mode = 'compiled' | 'generic'

export interface Unit {
  /** Table, view or relation the code belongs to; goes into `sourceURL` and the header. */
  readonly name: string
  /** Header lines: which schema or circuit this was made for. */
  readonly provenance: readonly string[]
}

export interface Built<F> {
  readonly fn: F
  /** The JavaScript that runs; the template's own text in generic mode. */
  readonly source: string
}

export type Statics = Readonly<Record<string, unknown>>

/**
 * Builds one kernel. `statics` gives a value for every parameter of the template that begins with `$`; those
 * parameters come first. Throws CompileError if the template cannot be specialised.
 */
export function build<F>(mode: Mode, unit: Unit, kernel: string, template: Template, statics: Statics): Built<F> {
  if (mode === 'generic') {
    const values = staticParameters(template, statics).map(name => statics[name])
    const run = template as unknown as (...args: unknown[]) => unknown
    return { fn: ((...args: unknown[]) => run(...values, ...args)) as F, source: String(template) }
  }
  const specialised = specialise(template, statics, { name: kernel })
  return load<F>({
    unit: unit.name,
    kernel,
    provenance: [...unit.provenance],
    functions: [specialised],
    exports: kernel,
  })
}
