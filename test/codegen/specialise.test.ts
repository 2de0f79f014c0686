/** Small templates: what they become, and that the result does what the template does when it runs as it stands. */
import { describe, expect, test } from 'vitest'
import { assign, bin, call, constant, exprStmt, id, lit, member, staticValue, variable } from '../../codegen/ast.js'
import { load, print } from '../../codegen/load.js'
import { external, inline, macro, specialise, type Template } from '../../codegen/specialise/index.js'

type Statics = Record<string, unknown>

/** Specialises, compares with the generic run on each input, and returns the text. */
function both(template: Template, statics: Statics, ...inputs: unknown[][]): string {
  const made = specialise(template, statics, { name: 'f' })
  const { fn } = load<(...args: unknown[]) => unknown>({
    unit: 'test',
    kernel: template.name,
    provenance: [],
    functions: [made],
    exports: 'f',
  })
  const generic = template as unknown as (...args: unknown[]) => unknown
  const values = Object.values(statics)
  for (const input of inputs) {
    const copy = structuredClone(input)
    const expected = generic(...values, ...input)
    expect(fn(...copy)).toEqual(expected)
    expect(copy).toEqual(input)
  }
  const text = print(made.ast)
  expect(text).not.toContain('$')
  return text
}

const columns = [
  { name: 'id', index: 0, kind: 'int' },
  { name: 'price', index: 2, kind: 'float' },
]
type Columns = typeof columns
type Table = { columns: number[][]; lanes?: number[][]; weights?: number[] }

describe('static values', () => {
  test('become literals of every primitive type', () => {
    function t($s: Statics) {
      return [$s.text, $s.minus, $s.zero, $s.nan, $s.big, $s.no, $s.nothing, $s.inf, $s.missing, -$s.minus!]
    }
    const s = {
      text: 'a\'b"\n\u2028',
      minus: -1.5,
      zero: -0,
      nan: NaN,
      big: -7n,
      no: false,
      nothing: null,
      inf: -Infinity,
      missing: undefined,
    }
    expect(both(t as Template, { $s: s }, [])).toMatchInlineSnapshot(`
      "function f() {
        return ['a\\'b"\\n\\u2028', -1.5, -0, NaN, -7n, false, null, -Infinity, void 0, 1.5];
      }"
    `)
  })

  test('decide branches, operators and switches', () => {
    function t($kind: string, $n: number, x: number) {
      const $double = $n * 2
      if ($kind === 'int') {
        const y = x + $double
        if ($n > 100) return y
        switch ($kind as string) {
          case 'float':
            return 1
          case 'int':
            x += 10
            break
          default:
            return 2
        }
        return $kind && y > 3 && $n !== 0 ? y + x : `${$kind} ${$n}`
      }
      return x
    }
    expect(both(t, { $kind: 'int', $n: 2 }, [1], [-9])).toMatchInlineSnapshot(`
      "function f(x) {
        const y = x + 4;
        x += 10;
        return y > 3 ? y + x : 'int 2';
      }"
    `)
    expect(both(t, { $kind: 'float', $n: 2 }, [1])).toMatchInlineSnapshot(`
      "function f(x) {
        return x;
      }"
    `)
  })

  test('methods of statics and global functions are called at compile time', () => {
    class Layout {
      constructor(readonly width: number) {}
      wide(limit: number): boolean {
        return this.width > limit
      }
    }
    function t($layout: Layout, $list: number[], x: number) {
      const $n = Math.max($layout.width, 3)
      if ($layout.wide(2) && $list.includes(5)) return BigInt($n) + BigInt.asIntN(64, BigInt(x))
      return 0n
    }
    expect(both(t, { $layout: new Layout(4), $list: [5, 6] }, [3])).toMatchInlineSnapshot(`
      "function f(x) {
        return 4n + BigInt.asIntN(64, BigInt(x));
      }"
    `)
  })
})

describe('unrolling', () => {
  test('names locals after the element and hoists paths after the column', () => {
    function t($columns: Columns, left: Table, i: number) {
      let sum = 0
      for (const $c of $columns) {
        const value = left.columns[$c.index]![i]!
        if ($c.kind === 'float') sum += value * 2
        else sum += value
      }
      return sum
    }
    expect(both(t, { $columns: columns }, [{ columns: [[1], [2], [3]] }, 0])).toMatchInlineSnapshot(`
      "function f(left, i) {
        const left_id = left.columns[0];
        const left_price = left.columns[2];
        let sum = 0;
        const value_id = left_id[i];
        sum += value_id;
        const value_price = left_price[i];
        sum += value_price * 2;
        return sum;
      }"
    `)
  })

  test('counts, up and down', () => {
    function t($n: number, a: number[], at: number) {
      let sum = 0
      for (let $i = 0; $i < $n; $i++) {
        const x = a[at + $i]!
        sum = sum * 2 + x
      }
      for (let $i = $n; $i > 0; $i -= 2) sum += $i
      return sum
    }
    expect(both(t, { $n: 3 }, [[1, 2, 3, 4], 1])).toMatchInlineSnapshot(`
      "function f(a, at) {
        let sum = 0;
        const x_0 = a[at];
        sum = sum * 2 + x_0;
        const x_1 = a[at + 1];
        sum = sum * 2 + x_1;
        const x_2 = a[at + 2];
        sum = sum * 2 + x_2;
        sum += 3;
        sum += 1;
        return sum;
      }"
    `)
  })

  test('continue and break become labelled blocks, or nothing at all', () => {
    function t($columns: Columns, x: number) {
      let out = 0
      outer: for (let i = 0; i < 3; i++) {
        for (const $c of $columns) {
          if ($c.kind === 'none') continue
          if (x === $c.index) continue
          if (x === 9) break
          if (x === 8) continue outer
          if (i === 2) break outer
          for (let j = 0; j < 5; j++) {
            if (j === 3) break
            out += j
            if (out > 50) continue
            out++
          }
        }
        out += 100
      }
      for (const $c of $columns) {
        if ($c.index > 0) break
        if (x > 0) out += $c.index + 1000
      }
      return out
    }
    expect(both(t, { $columns: columns }, [0], [1], [2], [8], [9])).toMatchInlineSnapshot(`
      "function f(x) {
        let out = 0;
        for (let i = 0; i < 3; i++) {
          search: {
            if (x !== 0) {
              if (x === 9) break search;
              if (x === 8) continue;
              if (i === 2) break;
              for (let j_id = 0; j_id < 5; j_id++) {
                if (j_id === 3) break;
                out += j_id;
                if (out > 50) continue;
                out++;
              }
            }
            if (x !== 2) {
              if (x === 9) break search;
              if (x === 8) continue;
              if (i === 2) break;
              for (let j_price = 0; j_price < 5; j_price++) {
                if (j_price === 3) break;
                out += j_price;
                if (out > 50) continue;
                out++;
              }
            }
          }
          out += 100;
        }
        if (x > 0) {
          out += 1000;
        }
        return out;
      }"
    `)
  })

  test('a return in a copy makes the rest unreachable', () => {
    function t($columns: Columns, x: number) {
      for (const $c of $columns) {
        if ($c.kind === 'float') return x + $c.index
      }
      return -1
    }
    expect(both(t, { $columns: columns }, [5])).toMatchInlineSnapshot(`
      "function f(x) {
        return x + 2;
      }"
    `)
  })

  test('loops at run time stay as they are', () => {
    function t($n: number, list: number[]) {
      let sum = 0
      for (const item of list) {
        if (item < 0) continue
        sum += item * $n
      }
      let k = 0
      do k++
      while (k < $n)
      for (;;) {
        if (k++ > 10) break
      }
      switch (sum) {
        case 6:
          sum = 1
          break
        default:
          sum++
      }
      while (false) sum = 0
      return [sum, k]
    }
    expect(both(t, { $n: 2 }, [[1, -1, 2]], [[4]])).toMatchInlineSnapshot(`
      "function f(list) {
        let sum = 0;
        for (const item of list) {
          if (item < 0) continue;
          sum += item * 2;
        }
        let k = 0;
        do {
          k++;
        } while (k < 2);
        for (; ; ) {
          if (k++ > 10) break;
        }
        switch (sum) {
          case 6:
            sum = 1;
            break;
          default:
            sum++;
        }
        return [sum, k];
      }"
    `)
  })
})

describe('hoisting', () => {
  test('after the declaration of the root, regions and lanes included', () => {
    function t($columns: Columns, run: { left: Table; right: Table[] }, i: number) {
      const left = run.left
      let out = 0
      for (const right of run.right) {
        for (const $c of $columns) {
          out += left.columns[$c.index]![i]! + right.lanes![$c.index]![i * 2 + 1]! * left.weights![i]!
        }
      }
      return out
    }
    const table = {
      columns: [[1], [2], [3]],
      lanes: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      weights: [7],
    }
    expect(both(t, { $columns: columns }, [{ left: table, right: [table, table] }, 0])).toMatchInlineSnapshot(`
      "function f(run, i) {
        const left = run.left;
        const left_id = left.columns[0];
        const left_weights = left.weights;
        const left_price = left.columns[2];
        let out = 0;
        for (const right of run.right) {
          const right_id_lanes = right.lanes[0];
          const right_price_lanes = right.lanes[2];
          out += left_id[i] + right_id_lanes[i * 2 + 1] * left_weights[i];
          out += left_price[i] + right_price_lanes[i * 2 + 1] * left_weights[i];
        }
        return out;
      }"
    `)
  })

  test('not of what is reassigned: a let, a parameter, a path', () => {
    function t($c: number, a: Table, b: Table, out: Table) {
      let c = b
      c = a
      c.columns[$c]![0] = 5
      out.columns[$c] = [1, 2, 3]
      const seen = out.columns[$c]!.length
      out.weights = [9]
      a = b
      return [seen, out.weights[0], a.columns[$c]![0], c.columns[$c]![0]]
    }
    const table = (n: number): Table => ({ columns: [[n], [n + 1]], weights: [n] })
    expect(both(t, { $c: 1 }, [table(1), table(2), table(3)])).toMatchInlineSnapshot(`
      "function f(a, b, out) {
        let c = b;
        c = a;
        c.columns[1][0] = 5;
        out.columns[1] = [1, 2, 3];
        const seen = out.columns[1].length;
        out.weights = [9];
        a = b;
        return [seen, out.weights[0], a.columns[1][0], c.columns[1][0]];
      }"
    `)
  })
})

test('an element that the template may assign by any index is read anew', () => {
  function t($k: number, counts: number[], groups: { of: number[] }, i: number) {
    const before = counts[$k]! + groups.of[$k]!
    counts[i] = 5
    groups.of[i]! += 7
    return [before, counts[$k], groups.of[$k]]
  }
  const text = both(t, { $k: 1 }, [[1, 2], { of: [3, 4] }, 1])
  expect(text).toContain('return [before, counts[1], groups.of[1]]')
})

describe('inlining', () => {
  const compare = inline(function compare($columns: Columns, a: Table, i: number, b: Table, j: number): number {
    for (const $c of $columns) {
      const x = a.columns[$c.index]![i]!
      const y = b.columns[$c.index]![j]!
      if (x !== y) return x < y ? -1 : 1
    }
    return 0
  })
  const table = { columns: [[1, 1, 2], [], [3, 2, 1]] }
  const pairs = [0, 1, 2].flatMap(i => [0, 1, 2].map(j => [table, i, j]))

  test('in every position, twice, without capture', () => {
    function t($columns: Columns, $compare: typeof compare, a: Table, i: number, j: number) {
      const x = $compare($columns, a, i, a, j)
      let y = 0
      y = $compare($columns, a, j, a, i)
      if ($compare($columns, a, i, a, i) !== 0) return 'odd'
      $compare($columns, a, i, a, i)
      if (x === y) return x
      return $compare($columns, a, i + 0, a, j)
    }
    expect(both(t, { $columns: columns, $compare: compare }, ...pairs)).toMatchInlineSnapshot(`
      "function f(a, i, j) {
        const a_id = a.columns[0];
        const a_price = a.columns[2];
        let x;
        compare: {
          const x_id = a_id[i];
          const y_id = a_id[j];
          if (x_id !== y_id) {
            x = x_id < y_id ? -1 : 1;
            break compare;
          }
          const x_price = a_price[i];
          const y_price = a_price[j];
          if (x_price !== y_price) {
            x = x_price < y_price ? -1 : 1;
            break compare;
          }
          x = 0;
        }
        let y = 0;
        compare_2: {
          const x_id_2 = a_id[j];
          const y_id_2 = a_id[i];
          if (x_id_2 !== y_id_2) {
            y = x_id_2 < y_id_2 ? -1 : 1;
            break compare_2;
          }
          const x_price_2 = a_price[j];
          const y_price_2 = a_price[i];
          if (x_price_2 !== y_price_2) {
            y = x_price_2 < y_price_2 ? -1 : 1;
            break compare_2;
          }
          y = 0;
        }
        let compare;
        compare_3: {
          const x_id_3 = a_id[i];
          const y_id_3 = a_id[i];
          if (x_id_3 !== y_id_3) {
            compare = x_id_3 < y_id_3 ? -1 : 1;
            break compare_3;
          }
          const x_price_3 = a_price[i];
          const y_price_3 = a_price[i];
          if (x_price_3 !== y_price_3) {
            compare = x_price_3 < y_price_3 ? -1 : 1;
            break compare_3;
          }
          compare = 0;
        }
        if (compare !== 0) return 'odd';
        const x_id_4 = a_id[i];
        const y_id_4 = a_id[i];
        if (x_id_4 === y_id_4) {
          const x_price_4 = a_price[i];
          const y_price_4 = a_price[i];
        }
        if (x === y) return x;
        const i_2 = i + 0;
        const x_id_5 = a_id[i_2];
        const y_id_5 = a_id[j];
        if (x_id_5 !== y_id_5) return x_id_5 < y_id_5 ? -1 : 1;
        const x_price_5 = a_price[i_2];
        const y_price_5 = a_price[j];
        if (x_price_5 !== y_price_5) return x_price_5 < y_price_5 ? -1 : 1;
        return 0;
      }"
    `)
  })

  test('of single expressions, also where no statement can stand', () => {
    const $less = inline(($c: number, a: Table, i: number, j: number) => a.columns[$c]![i]! < a.columns[$c]![j]!)
    function t($at: number, $less: (c: number, a: Table, i: number, j: number) => boolean, a: Table, n: number) {
      let i = 0
      while (i + 1 < n && $less($at, a, i, i + 1)) i++
      return i > 0 || $less($at, a, i, n - 1) ? i : -1
    }
    expect(both(t, { $at: 0, $less }, [table, 3], [{ columns: [[1, 2, 3]] }, 3])).toMatchInlineSnapshot(`
      "function f(a, n) {
        const a_0 = a.columns[0];
        let i = 0;
        while (i + 1 < n && a_0[i] < a_0[i + 1]) {
          i++;
        }
        return i > 0 || a_0[i] < a_0[n - 1] ? i : -1;
      }"
    `)
  })

  test('binds arguments once, in order, and copies parameters that are assigned', () => {
    const twice = inline(function twice(x: number, n: number) {
      n += 1
      return x + x + n
    })
    function t($twice: typeof twice, log: number[]) {
      let n = 1
      const a = $twice(log.push(7), n)
      const b = $twice(n, n++)
      return [a, b, n, log.length]
    }
    expect(both(t, { $twice: twice }, [[]])).toMatchInlineSnapshot(`
      "function f(log) {
        let n = 1;
        const x = log.push(7);
        let n_2 = n;
        n_2 += 1;
        const a = x + x + n_2;
        const x_2 = n;
        let n_3 = n++;
        n_3 += 1;
        const b = x_2 + x_2 + n_3;
        return [a, b, n, log.length];
      }"
    `)
  })

  test('keeps loops, jumps and names of caller and callee apart', () => {
    const find = inline(function find(list: number[], x: number) {
      for (let i = 0; i < list.length; i++) {
        if (list[i] === x) return i
        if (list[i]! < 0) continue
        if (list[i]! > 100) break
      }
      return -1
    })
    function t($find: typeof find, list: number[], other: number[]) {
      let sum = 0
      for (let i = 0; i < list.length; i++) {
        const x = $find(other, list[i]!)
        if (x < 0) continue
        sum += x + i
      }
      return sum
    }
    expect(
      both(t, { $find: find }, [
        [3, 4, 5],
        [5, -1, 3, 200, 4],
      ]),
    ).toMatchInlineSnapshot(`
      "function f(list, other) {
        let sum = 0;
        for (let i = 0; i < list.length; i++) {
          const x_2 = list[i];
          let x;
          find: {
            for (let i_2 = 0; i_2 < other.length; i_2++) {
              if (other[i_2] === x_2) {
                x = i_2;
                break find;
              }
              if (other[i_2] < 0) continue;
              if (other[i_2] > 100) break;
            }
            x = -1;
          }
          if (x < 0) continue;
          sum += x + i;
        }
        return sum;
      }"
    `)
  })
})

describe('macros', () => {
  const square = macro(
    (x: number) => x * x,
    args => bin('*', args[0] as never, args[0] as never),
  )

  test('get names or literals, and may emit, hoist and bind constants', () => {
    const table = { 3: 'three' }
    const named = macro(
      ($t: Record<number, string>, x: number) => $t[x] ?? 'none',
      (args, ctx) => {
        const given = staticValue(args[0]!)
        const result = ctx.fresh('na me')
        const names = ctx.constant(given?.value, 'names')
        ctx.emit(variable(result, member(names, args[1] as never)))
        ctx.emit(exprStmt(assign(result, lit('none'), '??=')))
        return result
      },
    )
    function t($table: object, $named: typeof named, $square: typeof square, x: { at: number }) {
      const a = $named($table as never, x.at + 1)
      const b = $named($table as never, 3)
      return [a, b, $square(x.at), $square(4), x.at > 0 && $square(2) === 4]
    }
    expect(both(t, { $table: table, $named: named, $square: square }, [{ at: 2 }], [{ at: 0 }])).toMatchInlineSnapshot(`
      "function f(x) {
        const value = x.at + 1;
        let na_me = names[value];
        na_me ??= 'none';
        const a = na_me;
        let na_me_2 = names[3];
        na_me_2 ??= 'none';
        const b = na_me_2;
        const at = x.at;
        return [a, b, at * at, 4 * 4, x.at > 0 && 2 * 2 === 4];
      }"
    `)
  })

  test('without a value stand as statements only', () => {
    const push = macro(
      (list: number[], x: number) => void list.push(x),
      (args, ctx) => {
        ctx.emit(exprStmt(call(member(args[0] as never, 'push'), args[1] as never)))
        return null
      },
    )
    function t($push: typeof push, list: number[]) {
      for (let i = 0; i < 2; i++) if (i > 0) $push(list, i)
      return list.length
    }
    expect(both(t, { $push: push }, [[]])).toMatchInlineSnapshot(`
      "function f(list) {
        for (let i = 0; i < 2; i++) {
          if (i > 0) {
            list.push(i);
          }
        }
        return list.length;
      }"
    `)
    function bad($push: typeof push, list: number[]) {
      return $push(list, 1)
    }
    expect(() => specialise(bad, { $push: push }, { name: 'bad' })).toThrow(/expected a value here/)
  })

  test('hoist to the root, or stay where a root changes', () => {
    const cell = macro(
      (b: Table, i: number) => b.columns[1]![i]!,
      (args, ctx) =>
        member(ctx.hoist(member(member(args[0] as never, 'columns'), lit(1)), 'b_"cell"'), args[1] as never),
    )
    function t($cell: typeof cell, a: Table) {
      let b = a
      let sum = 0
      for (let i = 0; i < 2; i++) sum += $cell(a, i) + $cell(b, i)
      b = a
      return sum
    }
    expect(both(t, { $cell: cell }, [{ columns: [[], [1, 2]] }])).toMatchInlineSnapshot(`
      "function f(a) {
        const b__cell = a.columns[1];
        let b = a;
        let sum = 0;
        for (let i = 0; i < 2; i++) {
          const b__cell_2 = b.columns[1];
          sum += b__cell[i] + b__cell_2[i];
        }
        b = a;
        return sum;
      }"
    `)
  })

  test('external functions are called as constants, with arguments as they are', () => {
    const clamp = (low: number, x: number): number => Math.max(low, x)
    const same = external(clamp)
    function t($clamp: typeof same, x: { at: number }, ok: boolean) {
      return ok && $clamp(0, x.at - 1) > 0
    }
    expect(both(t, { $clamp: same }, [{ at: 3 }, true], [{ at: -3 }, true])).toMatchInlineSnapshot(`
      "function f(x, ok) {
        return ok && clamp(0, x.at - 1) > 0;
      }"
    `)
  })

  test('unused bindings of arguments vanish', () => {
    const nothing = macro(
      (_x: number) => 1,
      () => lit(1),
    )
    function t($nothing: typeof nothing, x: number[]) {
      const a = $nothing(x[0]! + x[1]!)
      return a
    }
    expect(both(t, { $nothing: nothing }, [[1, 2]])).toMatchInlineSnapshot(`
      "function f(x) {
        return 1;
      }"
    `)
  })

  test('constants built by hand keep their place', () => {
    const twice = macro(
      (x: number) => x + x,
      (args, ctx) => {
        const name = ctx.fresh('twice')
        ctx.emit(constant(name, bin('+', args[0] as never, args[0] as never)))
        return id(name.name)
      },
    )
    function t($twice: typeof twice, x: number) {
      if (x > 1) return $twice(x)
      else if (x > 0) return $twice(x + 1)
      return 0
    }
    expect(both(t, { $twice: twice }, [0], [1], [2])).toMatchInlineSnapshot(`
      "function f(x) {
        if (x > 1) {
          const twice = x + x;
          return twice;
        } else if (x > 0) {
          const value = x + 1;
          const twice = value + value;
          return twice;
        }
        return 0;
      }"
    `)
  })
})
