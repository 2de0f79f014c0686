import { describe, expect, it } from 'vitest'
import { type Interpretation, interpret, printZSet } from '../../src/circuit/interpret.js'
import { lower } from '../../src/circuit/lower.js'
import { inputsOf, nodesOf } from '../../src/circuit/nodes.js'
import type { Rel } from '../../src/circuit/rel.js'
import { picker, randomInputs, randomPlan } from './random-plans.js'

const shown = ({ rows, errors }: Interpretation): string =>
  `${printZSet(rows)}\nerrors ${JSON.stringify([...errors].map(([m, w]) => `${m} × ${w}`).sort())}`

const PRIMITIVES = ['source', 'filter', 'map', 'negate', 'plus', 'join', 'clamp', 'aggregate', 'topK']

/** What later stages rely on; see lower.ts. */
function checkLowered(root: Rel): void {
  for (const rel of nodesOf(root)) {
    expect(PRIMITIVES).toContain(rel.kind)
    if (rel.kind === 'plus') {
      for (const input of inputsOf(rel)) expect(shape(input)).toEqual(shape(rel))
    }
    if (rel.kind === 'join') {
      expect(rel.type).toBe('inner')
      expect(rel.on.length).toBeGreaterThan(0)
      for (const [a, b] of rel.on) {
        expect([a.kind, b.kind, a.type, a.nullable]).toEqual(['column', 'column', b.type, b.nullable])
      }
    }
    if (rel.kind === 'aggregate') {
      for (const e of [...rel.keys, ...rel.aggregates.flatMap(a => a.arg ?? [])]) expect(e.kind).toBe('column')
    }
    if (rel.kind === 'topK') {
      for (const e of [...rel.keys, ...rel.order.map(o => o.expr)]) expect(e.kind).toBe('column')
    }
  }
}

const shape = (rel: Rel) => rel.schema.columns.map(c => [c.type, c.nullable])

describe('lower', () => {
  it.each([0, 3])('keeps rows and failures of random circuits (risk %i of 10)', risk => {
    for (let seed = 1; seed <= 700; seed++) {
      const pick = picker(seed * 7919 + risk)
      const plan = randomPlan(1 + pick(3), risk, pick)
      const lowered = lower(plan)
      checkLowered(lowered)
      expect(shape(lowered), `seed ${seed}`).toEqual(shape(plan))
      for (let i = 0; i < 3; i++) {
        const inputs = randomInputs(pick)
        expect(shown(interpret(lowered, inputs)), `seed ${seed}`).toBe(shown(interpret(plan, inputs)))
      }
    }
  })
})
