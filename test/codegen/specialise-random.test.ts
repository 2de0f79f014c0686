/** Random templates with loops, jumps, shadowing and inlined calls: specialised and generic runs agree. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { load } from '../../codegen/load.js'
import { specialise, type Template } from '../../codegen/specialise/index.js'

type Pick = (limit: number) => number

/** Writes random statements. `fuel` bounds the size, `loops` lists what jumps may refer to, `depth` names variables. */
class Writer {
  private fuel = 25
  private counter = 0

  constructor(
    private readonly pick: Pick,
    private readonly callees: readonly string[],
  ) {}

  expression(names: readonly string[]): string {
    const name = names[this.pick(names.length)] ?? '1'
    switch (this.pick(9)) {
      case 0:
        return `(${name} + ${this.pick(4)})`
      case 1:
        return `(${name} * $n | 0)`
      case 2:
        return `($list[${this.pick(2)}].index > ${this.pick(3)} ? ${name} : ${this.pick(9)})`
      case 3:
        return `(${name} > ${this.pick(6)} && $n > ${this.pick(3)} ? 1 : ${name})`
      case 4:
        return `box.columns[$list[${this.pick(2)}].index][${this.pick(2)}]`
      case 5:
        return `(${name} % 2 === 0 || ${name} > $n ? ${name} : 3)`
      default:
        return name
    }
  }

  list(names: readonly string[], jumps: readonly string[], inLoop: boolean): string {
    const here = [...names]
    const lines: string[] = []
    for (let n = 1 + this.pick(4); n > 0 && this.fuel > 0; n--) lines.push(this.statement(here, jumps, inLoop))
    return lines.join('\n')
  }

  private statement(names: string[], jumps: readonly string[], inLoop: boolean): string {
    this.fuel--
    const value = this.expression(names)
    switch (this.pick(13)) {
      case 0:
        return `if (${value} > 2) {\n${this.list(names, jumps, inLoop)}\n} else {\n${this.list(names, jumps, inLoop)}\n}`
      case 1:
        return `if ($n > ${this.pick(4)}) {\n${this.list(names, jumps, inLoop)}\n}`
      case 2:
        return this.loop(label => `${label}: for (const $c of $list) {\nlog.push($c.index)\nBODY\n}`, names, jumps)
      case 3:
        return this.loop(label => `${label}: for (let $k = 0; $k < $n; $k++) {\nlog.push($k)\nBODY\n}`, names, jumps)
      case 4: {
        const i = `i${this.pick(2)}`
        return this.loop(label => `${label}: for (let ${i} = 0; ${i} < 3; ${i}++) {\nBODY\n}`, [...names, i], jumps)
      }
      case 5:
        return inLoop
          ? `if (${value} > ${this.pick(5)}) ${this.pick(2) === 0 ? 'break' : 'continue'}`
          : `log.push(${value})`
      case 6: {
        const label = jumps[this.pick(jumps.length)]
        return label === undefined
          ? ''
          : `if (${value} > ${this.pick(5)}) ${this.pick(2) === 0 ? 'break' : 'continue'} ${label}`
      }
      case 7:
        return `if (${value} > ${3 + this.pick(5)}) return ${this.expression(names)}`
      case 8:
        return `switch ($n) {\ncase 1:\n${this.list(names, jumps, false)}\ncase 2: {\n${this.list(names, jumps, false)}\nbreak\n}\ndefault:\nlog.push(9)\n}`
      case 9:
      case 10:
        return this.callOr(names, value)
      case 11:
        return `total = (total + ${value}) % 17`
      default:
        return this.declare(names, value)
    }
  }

  private loop(text: (label: string) => string, names: readonly string[], jumps: readonly string[]): string {
    const label = `l${this.counter++}`
    return text(label).replace('BODY', () => this.list(names, [...jumps, label], true))
  }

  private callOr(names: string[], value: string): string {
    const callee = this.callees[this.pick(this.callees.length)]
    if (callee === undefined) return `log.push(${value})`
    const call = `${callee}($n, $list, box, log, ${value}, ${this.expression(names)})`
    switch (this.pick(4)) {
      case 0:
        return call
      case 1:
        return `total = ${call}`
      case 2:
        return `if (${call} > 2) log.push(total)`
      default:
        return this.declare(names, call)
    }
  }

  private declare(names: string[], value: string): string {
    const name = ['x', 'y', 'i0', `v${this.counter++}`][this.pick(4)] as string
    // In a block of its own, so that names are shadowed and reused.
    if (name.startsWith('v')) names.push(name)
    return name.startsWith('v') ? `const ${name} = ${value}` : `{\nconst ${name} = 2\nlog.push(${name})\n}`
  }
}

function program(pick: Pick): string {
  const body = (callees: string[], names: string[]): string => new Writer(pick, callees).list(names, [], false)
  const inner = `function $inner($n, $list, box, log, x, y) {\nlet total = x\n${body([], ['x', 'y', 'total'])}\nreturn total\n}`
  const outer = `function $outer($n, $list, box, log, y, x) {\nlet total = y\n${body(['$inner'], ['x', 'y', 'total'])}\nreturn total + 1\n}`
  const main = `function main($n, $list, box, log, x, i0) {\nlet total = 0\n${body(['$inner', '$outer'], ['x', 'i0', 'total'])}\nreturn total\n}`
  return `${inner}\n${outer}\n${main}\nreturn { main, $inner, $outer }`
}

type Main = (...args: unknown[]) => unknown

test('random templates', () => {
  let unrolled = 0
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(1 << 20)), fc.integer({ min: 0, max: 3 }), (numbers, $n) => {
      const text = program(limit => (limit === 0 ? 0 : numbers.next().value % limit))
      const made = new Function(text)() as { main: Template; $inner: Template; $outer: Template }
      const $list = [
        { name: 'x', index: 2 },
        { name: 'total', index: 0 },
      ]
      const statics = { $n, $list, $inner: made.$inner, $outer: made.$outer }
      const functions = [specialise(made.main, statics, { name: 'main' })]
      const parts = { unit: 'random', kernel: 'main', provenance: [], functions, exports: 'main' }
      const { fn, source } = load<Main>(parts, { share: false })
      unrolled += source.includes('search') || source.includes('next') ? 1 : 0
      for (const [x, y] of [
        [0, 1],
        [3, 2],
        [8, 5],
      ]) {
        const box = { columns: [[1, 4], [], [6, 3]] }
        const expected: number[] = []
        const found: number[] = []
        const value = (made.main as unknown as Main)($n, $list, box, expected, x, y)
        expect([fn(box, found, x, y), found], `${text}\n${source}`).toEqual([value, expected])
      }
      expect(source).not.toMatch(/\$(?!constants)/)
    }),
    { seed: 11, numRuns: 300 },
  )
  expect(unrolled).toBeGreaterThan(20)
})
