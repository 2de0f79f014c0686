// Topics made of parts: which of them run, each in a process of its own, with the load of the machine before and after;
// what they found as tables, and whether the targets were met.
import { cpus, loadavg } from 'node:os'
import { render } from '../storage/figures.mjs'
import { writeJson } from './topic.mjs'

/** Runs the parts of a topic that are wanted, or all; `measure(part)` gives the figures of one. */
export function runParts(topic, names, { quick, json, only }, measure) {
  const parts = only ?? names
  const unknown = parts.find(part => !names.includes(part))
  if (unknown !== undefined) {
    console.error(`bench: ${topic} has no part "${unknown}"; there are ${names.join(', ')}`)
    process.exitCode = 2
    return
  }
  console.log(`${cpus().length} × ${cpus()[0].model}, node ${process.version}`)
  const all = []
  for (const part of parts) {
    const before = loadavg()[0]
    const figures = measure(part)
    const load = [before, loadavg()[0]]
    console.log(`\n${part} (load of the machine ${load.map(l => l.toFixed(1)).join(' to ')})\n\n${render(figures)}`)
    all.push(...figures.map(figure => ({ part, load, ...figure })))
  }
  const judged = all.filter(figure => figure.ok !== null)
  const met = judged.filter(figure => figure.ok).length
  console.log(`\n${met} of ${judged.length} targets met${quick ? ' (they are meant for the whole data)' : ''}`)
  writeJson(json, all)
}
