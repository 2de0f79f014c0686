// gnitz beside better-sqlite3 and classic-level: the same rows, the same
// durability, in turns. The ratio of a figure is to the faster peer.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { rate } from '../lib/report.mjs'
import { Lcg } from '../lib/rng.mjs'
import { BATCH, inDirectory, rowsOf, scattered } from './data.mjs'
import { inTurns, median, ratioAtLeast, seconds } from './figures.mjs'
import { STORES } from './peers.mjs'

const RANGE_ROWS = 100

/** One figure of the seconds that each store took for `count` of something. */
function figure(name, count, unit, found) {
  const { gnitz, ...peers } = found
  const [fastest, least] = Object.entries(peers).sort((a, b) => a[1] - b[1])[0]
  const note = Object.entries(peers)
    .map(([peer, spent]) => `${peer} ${rate(count / spent)}`)
    .join(', ')
  return ratioAtLeast(name, count / gnitz, unit, least / gnitz, 1, fastest, note)
}

/** Inserts: batches and single rows, waiting for the disk and not. Batches count in all, single rows by the median. */
export async function inserts(quick) {
  const figures = []
  for (const durable of [false, true]) {
    const how = durable ? 'commit' : 'none'
    const batches = quick ? 10 : 100
    const batched = await grow(durable, 10, batches / 10, (store, from, to) => {
      const made = Array.from({ length: to - from }, (_, i) => rowsOf((from + i) * BATCH, (from + i + 1) * BATCH))
      return seconds(async () => {
        for (const rows of made) await store.batch(rows)
      })
    })
    const sums = Object.fromEntries(Object.entries(batched).map(([name, spent]) => [name, sum(spent)]))
    figures.push(figure(`batch inserts, ${how}`, batches * BATCH, 'rows/s', sums))
    const turns = quick ? 5 : 25
    const each = durable ? 400 : 5000
    const single = await grow(durable, turns, each, (store, from, to) => {
      const rows = rowsOf(from, to)
      return seconds(async () => {
        for (const row of rows) await store.single(row)
      })
    })
    const middle = Object.fromEntries(Object.entries(single).map(([name, spent]) => [name, median(spent)]))
    figures.push(figure(`single inserts, ${how}`, each, 'rows/s', middle))
  }
  return figures
}

/** New stores that grow in turns, by `each` of something a turn: the seconds that `work` says, by store. */
function grow(durable, turns, each, work) {
  return inDirectory(async directory => {
    const stores = await openStores(directory, durable)
    const spent = Object.fromEntries(Object.keys(stores).map(name => [name, []]))
    for (let turn = 0; turn < turns; turn++) {
      for (const [name, store] of Object.entries(stores)) {
        spent[name].push(await work(store, turn * each, (turn + 1) * each))
      }
    }
    for (const store of Object.values(stores)) await store.close()
    return spent
  })
}

async function openStores(directory, durable) {
  const stores = {}
  for (const [name, kind] of Object.entries(STORES)) {
    const place = join(directory, name)
    mkdirSync(place)
    stores[name] = await kind.open(place, durable)
  }
  return stores
}

const sum = values => values.reduce((a, b) => a + b, 0)

/** Reads of one table: keys anywhere, ranges, all of it in order. */
export async function reads(quick) {
  const rows = quick ? 100_000 : 1_000_000
  return inDirectory(async directory => {
    const stores = await openStores(directory, false)
    for (const store of Object.values(stores)) {
      for (let i = 0; i < rows; i += BATCH) await store.batch(rowsOf(i, i + BATCH))
      await store.settle()
    }
    const measure = (times, work) =>
      inTurns(
        times,
        Object.fromEntries(
          Object.entries(stores).map(([name, store]) => [name, turn => seconds(() => work(store, turn))]),
        ),
      )
    const lookups = quick ? 20_000 : 200_000
    const ranges = quick ? 500 : 5000
    const figures = [
      figure('look-ups', lookups, '1/s', await measure(5, (store, turn) => lookUp(store, lookups, rows, turn))),
      figure('scans', rows, 'rows/s', await measure(5, scanner(rows))),
      figure(
        `ranges of ${RANGE_ROWS} rows`,
        ranges,
        '1/s',
        await measure(5, (store, turn) => readRanges(store, ranges, turn)),
      ),
    ]
    for (const store of Object.values(stores)) await store.close()
    return figures
  })
}

function lookUp(store, count, rows, turn) {
  const rng = new Lcg(turn + 1)
  for (let n = 0; n < count; n++) {
    const id = scattered(rng.below(rows))
    if (store.get(id)?.id !== id) throw new Error(`look-up: expected a row with id ${id}`)
  }
}

function scanner(rows) {
  let expected = null
  return async store => {
    const { count, sum } = await store.scan()
    expected ??= sum
    // Sums of floats in the same order are the same.
    if (count !== rows || sum !== expected) throw new Error(`scan: expected ${rows} rows, found ${count}`)
  }
}

async function readRanges(store, count, turn) {
  const rng = new Lcg(turn + 1)
  for (let n = 0; n < count; n++) {
    const found = await store.range(rng.below(2 ** 31), RANGE_ROWS)
    if (found !== RANGE_ROWS) throw new Error(`range: expected ${RANGE_ROWS} rows, found ${found}`)
  }
}
