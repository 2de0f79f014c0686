/** The checker of histories, on histories that are known to be good or bad. */
import { describe, expect, it } from 'vitest'
import { anomalies, type Op, type Recorded } from './elle.js'

const r = (key: number, value: string | null): Op => ({ kind: 'read', key, value })
const w = (key: number, value: string | null): Op => ({ kind: 'write', key, value })

/** Transactions that all overlap; each is committed at `lsn` unless that is null. */
const t = (id: string, lsn: number | null, ops: Op[], aborted = false): Recorded => ({
  id,
  ops,
  lsn,
  aborted,
  began: 0,
  ended: 100,
})

describe('the checker', () => {
  it('accepts what is serialisable', () => {
    expect(anomalies([])).toEqual([])
    const serial = [
      t('a', 1, [w(1, 'a1')]),
      t('b', 2, [r(1, 'a1'), w(1, 'b1'), r(1, 'b1')]),
      t('c', null, [r(1, 'b1')]),
    ]
    expect(anomalies(serial)).toEqual([])
    // Reads of an older state, by transactions that can come first.
    expect(anomalies([t('a', 1, [w(1, 'a1'), w(2, 'a2')]), t('b', null, [r(1, null), r(2, null)])])).toEqual([])
    expect(anomalies([t('a', 1, [w(1, 'a1')]), t('b', 2, [r(1, null), w(2, 'b2')])])).toEqual([])
    // What was given up may have read anything.
    expect(anomalies([t('a', 1, [w(1, 'a1')]), t('b', null, [r(1, 'nonsense'), w(2, 'b2')], true)])).toEqual([])
  })

  it.each([
    ['a lost update', [t('a', 1, [r(1, null), w(1, 'a1')]), t('b', 2, [r(1, null), w(1, 'b1')])]],
    ['write skew', [t('a', 1, [r(1, null), w(2, 'a2')]), t('b', 2, [r(2, null), w(1, 'b1')])]],
    ['read skew', [t('a', 1, [w(1, 'a1'), w(2, 'a2')]), t('b', null, [r(1, null), r(2, 'a2')])]],
    [
      'a phantom: both saw an empty range and wrote into it',
      [t('a', 1, [r(1, null), r(2, null), w(1, 'a1')]), t('b', 2, [r(1, null), r(2, null), w(2, 'b2')])],
    ],
    ['writes in different orders', [t('a', 1, [w(1, 'a1'), r(2, 'b2')]), t('b', 2, [w(2, 'b2'), w(1, 'b1')])]],
    ['information in a circle', [t('a', 1, [w(1, 'a1'), r(2, 'b2')]), t('b', 2, [w(2, 'b2'), r(1, 'a1')])]],
    [
      'readers that disagree',
      [
        t('a', 1, [w(1, 'a1')]),
        t('b', 2, [w(2, 'b2')]),
        t('c', null, [r(1, 'a1'), r(2, null)]),
        t('d', null, [r(1, null), r(2, 'b2')]),
      ],
    ],
    [
      'a read of a deleted row',
      [t('a', 1, [w(1, 'a1')]), t('b', 2, [w(1, null), w(2, 'b2')]), t('c', null, [r(2, 'b2'), r(1, 'a1')])],
    ],
    [
      'a stale read',
      [
        { ...t('a', 1, [w(1, 'a1')]), ended: 10 },
        { ...t('b', null, [r(1, null)]), began: 20 },
      ],
    ],
  ])('finds %s', (_, history) => {
    expect(anomalies(history)).toEqual([expect.stringContaining('cycle')])
  })

  it.each([
    ['a read of what was given up', [t('a', null, [w(1, 'a1')], true), t('b', null, [r(1, 'a1')])], 'a gave up'],
    ['a read in the middle', [t('a', 1, [w(1, 'a0'), w(1, 'a1')]), t('b', null, [r(1, 'a0')])], 'a replaced'],
    ['a read of nothing', [t('b', null, [r(1, 'zzz')])], 'nobody wrote'],
    ['blindness to own writes', [t('a', 1, [w(1, 'a1'), r(1, null)])], 'own write'],
  ])('finds %s', (_, history, text) => {
    expect(anomalies(history)).toEqual([expect.stringContaining(text)])
  })

  it('says which way round a cycle goes', () => {
    const [text] = anomalies([t('a', 1, [r(1, null), w(2, 'a2')]), t('b', 2, [r(2, null), w(1, 'b1')])])
    expect(text).toBe('cycle: a -rw 1-> b -rw 2-> a')
  })

  it('lets reads past own writes be what was committed', () => {
    const past: Op = { kind: 'read', key: 1, value: null, committed: true }
    expect(anomalies([t('a', 1, [w(1, 'a1'), past])])).toEqual([])
    expect(anomalies([t('a', 1, [w(1, 'a1')]), t('b', 2, [w(1, 'b1'), past])])).toEqual([
      expect.stringContaining('cycle'),
    ])
  })
})
