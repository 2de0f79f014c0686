import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { interpret, printZSet, type ZSet } from '../../src/circuit/interpret.js'
import { nodesOf } from '../../src/circuit/nodes.js'
import type { Rel, ViewDefinition } from '../../src/circuit/rel.js'
import { normalise, Problem } from '../../src/schema/values.js'
import { cellArb, deltaArb, schemaArb, stepsArb, typeArb, valueArb } from '../../src/testing/arbitraries.js'
import { type Case, caseArb } from '../../src/testing/cases.js'
import { checkRandom, checkView, PropertyFailure } from '../../src/testing/check.js'
import { circuitArb, OPERATOR_KINDS } from '../../src/testing/circuits.js'
import { checkLaws, LAWS } from '../../src/testing/laws.js'
import * as n from '../../src/testing/nodes.js'
import { printCase } from '../../src/testing/print.js'
import { NaiveRunner, type Runner, type RunningView, Tables } from '../../src/testing/runner.js'

const naive = (): Runner => new NaiveRunner()

/** A naive runner whose views are spoilt in some way. */
const spoilt = (spoil: (view: RunningView, definition: ViewDefinition) => Partial<RunningView>) => (): Runner => {
  const runner = new NaiveRunner()
  return {
    apply: step => runner.apply(step),
    createView: definition => {
      const view = runner.createView(definition)
      return { ...view, ...spoil(view, definition) }
    },
    close: () => runner.close(),
  }
}

const failure = (body: () => void): PropertyFailure => {
  try {
    body()
  } catch (problem) {
    if (problem instanceof PropertyFailure) return problem
    throw problem
  }
  throw new Error('the property held')
}

describe('arbitraries', () => {
  it('give values that their type takes, NULL only where allowed', () => {
    fc.assert(
      fc.property(
        typeArb.chain(type => fc.tuple(fc.constant(type), valueArb(type))),
        ([type, value]) => !(normalise(type, value) instanceof Problem),
      ),
      { seed: 1, numRuns: 500 },
    )
    const column = n.table('t', [['a', 'i64']]).schema.columns[0]
    fc.assert(
      fc.property(cellArb(column), value => value !== null),
      { seed: 1 },
    )
  })

  it('give schemas and changes that fit them', () => {
    const deltas = schemaArb('t').chain(t => deltaArb(t))
    fc.assert(
      fc.property(deltas, changes => {
        new Tables().apply(changes)
        return changes.every(c => c.row.length === c.table.schema.columns.length)
      }),
      { seed: 1 },
    )
  })

  it('keep tables non-negative where asked', () => {
    const tables = [n.table('a', [['x', 'bool']]), n.table('b', [['y', 'f64', true]])]
    const property = fc.property(stepsArb(tables, { negative: false }), steps => {
      const contents = new Tables()
      for (const step of steps) contents.apply(step)
      return [...contents.contents.values()].every(z => [...z.values()].every(e => e.weight > 0n))
    })
    fc.assert(property, { seed: 1 })
  })

  it('make circuits of every kind, deterministic, most of them with rows', () => {
    const cases = fc.sample(caseArb(), { numRuns: 300, seed: 2 })
    const views = cases.flatMap(test => test.views.map(view => ({ test, view })))
    const found = new Set<string>()
    let filled = 0
    for (const { test, view } of views) {
      const tables = new Tables()
      for (const step of test.steps) tables.apply(step)
      if (interpret(view.rel, tables.contents).rows.size > 0) filled++
      for (const rel of nodesOf(view.rel)) found.add(kindOf(rel))
    }
    // Gates need a clock or a waterline.
    for (const test of fc.sample(caseArb({ waterlines: true }), { numRuns: 100, seed: 2 }))
      for (const view of test.views) for (const rel of nodesOf(view.rel)) found.add(kindOf(rel))
    expect([...OPERATOR_KINDS, 'source'].filter(kind => !found.has(kind))).toEqual([])
    expect(filled).toBeGreaterThan(views.length * 0.4)
    const again = fc.sample(caseArb(), { numRuns: 300, seed: 2 })
    expect(again.map(c => printCase(c, 0))).toEqual(cases.map(c => printCase(c, 0)))
  })

  it('keep to the kinds that are asked for', () => {
    const table = n.table('t', [['x', 'i64']])
    const circuits = fc.sample(circuitArb([table], { kinds: ['filter', 'distinct'] }), { numRuns: 50, seed: 1 })
    const kinds = new Set(circuits.flatMap(rel => nodesOf(rel).map(kindOf)))
    expect([...kinds].sort()).toEqual(['distinct', 'filter', 'source'])
  })
})

function kindOf(rel: Rel): string {
  if (rel.kind === 'join') return rel.type
  if (rel.kind === 'set') return rel.op
  if (rel.kind === 'aggregate' && rel.keys.length === 0) return 'global'
  return rel.kind === 'source' && rel.relation.kind === 'view' ? 'view' : rel.kind
}

describe('laws', () => {
  it('hold for recomputation', () => {
    checkRandom(naive, { runs: 30, seed: 1 })
  })

  it('find a view that misses a row', () => {
    const forgetful = spoilt(view => ({
      entries: () => new Map([...view.entries()].filter(([, e]) => e.weight < 2n)),
    }))
    const found = failure(() => checkRandom(forgetful, { runs: 200, seed: 1 }))
    expect(found.message).toContain('entries()')
    expect(found.message).toContain(`seed ${found.seed}, path`)
    // The smallest case: one view that is a table, a row that is there twice.
    expect(found.test.views.length).toBe(1)
    expect(found.test.views[0].rel.kind).toBe('source')
    expect(found.test.steps.flat().filter(c => c.weight !== 0n).length).toBeLessThanOrEqual(2)
  })

  it('find wrong deltas, errors and refusals', () => {
    const twice = spoilt(view => {
      let reads = 0
      return { integral: () => (reads++ === 0 ? view.integral() : new Map()) }
    })
    expect(failure(() => checkRandom(twice, { runs: 100, seed: 1 })).message).toContain('published deltas')
    const silent = spoilt(() => ({ errors: () => new Map() }))
    expect(failure(() => checkRandom(silent, { runs: 300, seed: 1 })).message).toContain('errors()')
    const refusing = (): Runner => ({
      ...{ createView: view => new NaiveRunner().createView(view), close: () => undefined },
      apply: () => {
        throw new Error('full')
      },
    })
    expect(failure(() => checkRandom(refusing, { runs: 10, seed: 1 })).message).toContain('failed: Error: full')
  })

  it('find a mistake that only one operator makes, and print it', () => {
    const table = n.table('t', [['x', 'i64', true]])
    const x = n.column(table.schema, 0)
    const view = n.view('v', n.aggregate(n.source(table), [['x', x]], [['n', 'count', x]]))
    const wrong = spoilt((running, definition) => ({
      entries: () => (definition.rel.kind === 'aggregate' ? withoutNull(running.entries()) : running.entries()),
    }))
    const found = failure(() => checkView(wrong, view, { runs: 200, seed: 3 }))
    expect(found.message).toContain('expected minus found is\n+1 (null, 0n)')
    expect(found.reproduction).toContain('n.table("t", [["x", \'i64\', true]], [])')
    checkView(naive, view, { runs: 20, seed: 3 })
  })
})

const withoutNull = (zset: ZSet): ZSet => new Map([...zset].filter(([, e]) => e.row[0] !== null))

describe('reproductions', () => {
  it('rebuild the same case', () => {
    for (const test of fc.sample(caseArb(), { numRuns: 60, seed: 5 })) {
      const [views, steps, options] = pasted(printCase(test, 7))
      expect(options).toEqual({ shuffle: 7 })
      const tables = [new Tables(), new Tables()]
      for (const step of test.steps) tables[0].apply(step)
      for (const step of steps) tables[1].apply(step)
      views.forEach((view, i) => {
        const [a, b] = [interpret(test.views[i].rel, tables[0].contents), interpret(view.rel, tables[1].contents)]
        expect(printZSet(b.rows)).toBe(printZSet(a.rows))
        expect(b.errors).toEqual(a.errors)
      })
    }
  })

  it('run the laws again, and compile in strict programs although functions have no types', () => {
    const [test] = fc.sample(caseArb(), { numRuns: 1, seed: 6 })
    expect(printCase(test, 7)).toMatch(/^\/\/ @ts-nocheck/)
    checkLaws(naive, test, 7)
    expect(LAWS.length).toBeGreaterThan(4)
  })
})

/** Runs the text of a reproduction with `replay` replaced by a recorder. */
function pasted(text: string): [Case['views'], Case['steps'], unknown] {
  const body = text.replace(/^import.*$/m, '')
  let recorded: [Case['views'], Case['steps'], unknown] | null = null
  const replay = (...args: [Case['views'], Case['steps'], unknown]): void => {
    recorded = args
  }
  new Function('n', 'replay', body)(n, replay)
  if (recorded === null) throw new Error('the reproduction does not call replay')
  return recorded
}
