/** Looking up rows among many with one key: the weights are those of a Map, whatever the run. */
import { expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { Prng } from '../../src/base/prng.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { MODES, runOf, schemaOf } from '../zset/support.js'

test.each(MODES)('%s', mode => {
  const layout = arrangedLayout(schemaOf('t', 'k:u8', 'x:i32'), [0])
  const kernels = kernelsOf(layout, mode)
  const random = new Prng(7)
  for (const size of [1, 2, 5, 60, 700]) {
    const rows = Array.from({ length: size }, (_, i) => ({ row: [i % 3 === 0 ? 1 : 2, i * 2], weight: BigInt(i + 1) }))
    rows.sort((a, b) => a.row[0] - b.row[0] || a.row[1] - b.row[1])
    const wanted = Array.from({ length: 40 }, () => [1 + random.below(3), random.below(size * 2 + 2) - 1])
    const keys = [...new Map(wanted.map(w => [w.join(), w])).values()].sort((a, b) => a[0] - b[0] || a[1] - b[1])
    const delta = runOf(
      layout,
      keys.map(row => ({ row, weight: 1n })),
    )
    const sums = new BigInt64Array(delta.length)
    kernels.lookup(delta, runOf(layout, rows), sums)
    const held = new Map(rows.map(r => [r.row.join(), r.weight]))
    expect([...sums]).toEqual(keys.map(k => held.get(k.join()) ?? 0n))
  }
})
