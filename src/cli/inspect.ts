/** `gnitz inspect`: compiles the views of a module in an empty database and shows what will run. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, open, type ViewDef } from '../index.js'
import { CliError } from './cli-error.js'
import { loadViews } from './load-module.js'
import { statsText } from './stats-text.js'
import type { Terminal } from './terminal.js'

/** What can be shown of a view, in the order it is shown. */
export const PARTS = ['plan', 'source', 'dot', 'svg', 'stats'] as const
export type Part = (typeof PARTS)[number]

export interface InspectOptions {
  /** Path of the module. */
  readonly module: string
  /** Names of the views to show; all when empty. */
  readonly views: readonly string[]
  readonly parts: readonly Part[]
  /** Folder to write files into, or null for the terminal. */
  readonly outDir: string | null
}

type Handle = ReturnType<Database['createView']>

const RENDER: Readonly<Record<Part, { extension: string; text: (view: Handle) => string }>> = {
  plan: { extension: 'plan.txt', text: view => view.plan() },
  source: { extension: 'js', text: view => view.source() },
  dot: { extension: 'dot', text: view => view.plan({ format: 'dot' }) },
  svg: { extension: 'svg', text: view => view.plan({ format: 'svg' }) },
  stats: { extension: 'stats.txt', text: view => statsText(view.stats()) },
}

/**
 * Shows `options.parts` of the module's views on the terminal or as files in `options.outDir`, which is made.
 * Throws CliError when the module or a view of that name cannot be had, and gnitz's errors when one does not compile.
 */
export async function inspect(options: InspectOptions, terminal: Terminal): Promise<void> {
  const views = select(await loadViews(options.module), options)
  const db = open()
  try {
    for (const definition of views) {
      const handle = db.createView(definition)
      for (const part of options.parts) show(handle, part, options.outDir, terminal)
    }
  } finally {
    db.close()
  }
}

function select(
  views: readonly ViewDef<unknown>[],
  { module, views: names }: InspectOptions,
): readonly ViewDef<unknown>[] {
  if (names.length === 0) return views
  return names.map(name => {
    const found = views.find(view => view.schema.name === name)
    if (found !== undefined) return found
    const known = views.map(view => view.schema.name).join(', ')
    throw new CliError(`${module}: expected a view named '${name}', found: ${known}`)
  })
}

function show(view: Handle, part: Part, outDir: string | null, terminal: Terminal): void {
  const { extension, text } = RENDER[part]
  const content = `${text(view).trimEnd()}\n`
  if (outDir === null) {
    terminal.out(part === 'plan' || part === 'stats' ? `${view.name}: ${part}\n${content}\n` : `${content}\n`)
    return
  }
  mkdirSync(outDir, { recursive: true })
  // Names are the user's: encoded, they cannot leave the folder.
  const file = join(outDir, `${encodeURIComponent(view.name)}.${extension}`)
  writeFileSync(file, content)
  terminal.out(`${file}\n`)
}
