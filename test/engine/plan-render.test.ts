import { describe, expect, it } from 'vitest'
import { type PlanGraph, renderPlan } from '../../src/engine/plan-render.js'

const spend: PlanGraph = {
  nodes: [
    { id: 'orders', label: 'table orders', details: [], inputs: [] },
    { id: 'customers', label: 'table customers', details: [], inputs: [] },
    {
      id: 'a1',
      label: 'arrange by customer',
      details: ['filter amount > 100n', 'columns customer, amount'],
      inputs: ['orders'],
    },
    { id: 'a2', label: 'arrange by id', details: ['columns id, region'], inputs: ['customers'] },
    { id: 'j', label: 'join', details: ['customer = id'], inputs: ['a1', 'a2'] },
    { id: 'g', label: 'aggregate', details: ['by region', 'orders = count(*)', 'total = sum(amount)'], inputs: ['j'] },
    { id: 'd', label: 'clamp one', details: [], inputs: ['j', 'a2'] },
    { id: 'v', label: 'view spend', details: [], inputs: ['g', 'd'] },
  ],
}

const hostile = [
  '"); process.exit(',
  '</text><script>alert(1)</script>',
  'a\nb\\l"',
  '\u0000\u202e&amp;\ud800',
  '😀'.repeat(70),
]
const nasty: PlanGraph = {
  nodes: hostile.map((name, i) => ({
    id: name,
    label: name,
    details: [name, name],
    inputs: i === 0 ? [] : [hostile[i - 1]],
  })),
}

describe('renderPlan', () => {
  it('draws a tree that names shared nodes once', () => {
    expect(renderPlan(spend, 'text')).toBe(
      [
        'view spend',
        '├─ aggregate',
        '│  │   by region',
        '│  │   orders = count(*)',
        '│  │   total = sum(amount)',
        '│  └─ join #1',
        '│     │   customer = id',
        '│     ├─ arrange by customer',
        '│     │  │   filter amount > 100n',
        '│     │  │   columns customer, amount',
        '│     │  └─ table orders',
        '│     └─ arrange by id #2',
        '│        │   columns id, region',
        '│        └─ table customers',
        '└─ clamp one',
        '   ├─ join (#1 above)',
        '   └─ arrange by id (#2 above)',
        '',
      ].join('\n'),
    )
  })

  it('draws DOT', () => {
    const dot = renderPlan(spend, 'dot')
    expect(dot).toContain('n2 [label = "arrange by customer\\lfilter amount > 100n\\lcolumns customer, amount\\l"]')
    expect(dot).toContain('n0 -> n2')
    expect(dot.match(/->/g)).toHaveLength(9)
  })

  it('draws SVG with a box a node and an arrow an input', () => {
    const svg = renderPlan(spend, 'svg')
    expect(svg.match(/<g>/g)).toHaveLength(8)
    expect(svg.match(/class="edge"/g)).toHaveLength(9)
    expect(svg).toContain('filter amount &gt; 100n</text>')
    expect(svg).not.toMatch(/NaN|undefined/)
  })

  it('keeps names that look like syntax on their line and out of the markup', () => {
    const text = renderPlan(nasty, 'text')
    expect(text.split('\n')).toHaveLength(hostile.length * 3 + 1)
    expect(text).toContain('a\\u000ab')
    const dot = renderPlan(nasty, 'dot')
    for (const line of dot.split('\n').filter(l => l.includes('label ='))) {
      expect(line).toMatch(/^ {2}n\d+ \[label = "(?:[^"\\]|\\.)*"\]$/)
    }
    const svg = renderPlan(nasty, 'svg')
    expect(svg).not.toContain('<script')
    const tags = new Set(svg.match(/<\/?\w+/g))
    expect(
      [...tags].map(t => t.replace(/[</]/g, '')).every(t => 'svg style defs marker path rect g title text'.includes(t)),
    ).toBe(true)
    expect(svg.replaceAll('\n', '')).not.toMatch(/\p{Cc}|\p{Surrogate}/u)
    expect(svg).toContain('&amp;amp;')
  })

  it('takes a node alone and a node that is read twice by another', () => {
    const twice: PlanGraph = {
      nodes: [
        { id: 'a', label: 'a', details: [], inputs: [] },
        { id: 'b', label: 'b', details: [], inputs: ['a', 'a'] },
      ],
    }
    expect(renderPlan(twice, 'svg').match(/class="edge"/g)).toHaveLength(2)
    expect(renderPlan(twice, 'text')).toBe('b\n├─ a #1\n└─ a (#1 above)\n')
    expect(renderPlan({ nodes: [twice.nodes[0]] }, 'text')).toBe('a\n')
  })

  it('refuses a graph with inputs that are not there', () => {
    const broken: PlanGraph = { nodes: [{ id: 'a', label: 'a', details: [], inputs: ['b'] }] }
    expect(() => renderPlan(broken, 'dot')).toThrow('input b of plan node a exists')
  })
})
