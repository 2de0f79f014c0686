/** The short ways of a compaction are the tournament: on random ranges of random runs, whatever the layout. */
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { Prng } from '../../src/base/prng.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { Ranges } from '../../src/storage/compaction/cursor.js'
import { Merger } from '../../src/storage/compaction/merger.js'
import { Batch } from '../../src/zset/batch.js'
import { contents, MODES, runOf, schemaOf } from '../zset/support.js'

const LAYOUTS = [
  arrangedLayout(schemaOf('narrow', 'id:u64', 'v:i32'), [0]),
  arrangedLayout(schemaOf('wide', 'a:u64', 'b:u64', 'x:f64?', 'flag:bool'), [0, 1]),
  arrangedLayout(schemaOf('texts', 'id:u64', 's:string'), [0]),
]

const rowOf = (l: number, prng: Prng) => {
  const small = BigInt(prng.below(12))
  if (l === 0) return [small, prng.below(2)]
  if (l === 1) return [small, small, prng.chance(0.3) ? null : prng.below(2), prng.chance(0.5)]
  return [small, prng.chance(0.5) ? 'short' : 'a text that is long enough for the heap']
}

describe.each(MODES)('%s kernels', mode => {
  test.each(LAYOUTS.map((layout, l) => [layout.schema.name, l] as const))('%s', (_, l) => {
    const layout = LAYOUTS[l]
    const kernels = kernelsOf(layout, mode)
    const prng = new Prng(l + 1)
    for (let round = 0; round < 150; round++) {
      const runs = Array.from({ length: 1 + prng.below(9) }, () => {
        const rows = Array.from({ length: prng.below(40) }, () => ({
          row: rowOf(l, prng),
          weight: prng.chance(0.5) ? 1n : -1n,
        }))
        return runOf(layout, rows)
      })
      const outs = [Ranges, Merger].map(Kind => {
        const ranges = new Kind(kernels, [...runs], true)
        const out = new Batch(layout, 400)
        const limits = [prng.below(30), 360]
        const picks = new Prng(round)
        runs.forEach((run, r) => {
          ranges.at[r] = picks.chance(0.5) ? 0 : picks.below(run.length + 1)
          ranges.ends[r] = picks.chance(0.2) ? ranges.at[r] : run.length
        })
        if (Kind === Ranges) limits[0] = 360
        for (const limit of limits) ranges.mergeInto(out, limit)
        expect(ranges.at).toEqual(ranges.ends)
        expect(out.order).toBe('consolidated')
        return contents(out)
      })
      expect(outs[1]).toEqual(outs[0])
      expect(runs.map(run => run.length)).toEqual(runs.map(run => contents(run).length))
    }
  })
})
