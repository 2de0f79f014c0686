/** The queries of `npm run bench -- nexmark`, against the oracle and against plain JavaScript. */
import { describe, expect, it } from 'vitest'
import { Generator } from '../../bench/nexmark/generator.mjs'
import { nexmark } from '../../bench/nexmark/queries.mjs'
import { comparable, REFERENCE } from '../../bench/nexmark/reference.mjs'
import { printZSet, zsetOf } from '../../src/circuit/interpret.js'
import * as gnitz from '../../src/index.js'
import { rowOf } from '../../src/testing/engine-runner.js'
import { checkIncremental, interpret } from '../../src/testing/index.js'
import { canonicalRow } from '../../src/testing/runner.js'

type Row = Readonly<Record<string, gnitz.Value>>
type Stream = 'person' | 'auction' | 'bid' | 'sideInput'
interface Query {
  readonly name: keyof typeof REFERENCE
  readonly reads: readonly Stream[]
  readonly view: () => gnitz.ViewDef<Row>
}
type Events = Readonly<Record<Stream, readonly Row[]>>

const EVENTS = 1600
const STEP = 400
const made = nexmark(gnitz, { stream: false })
const tables = made.tables as unknown as Readonly<Record<Stream, gnitz.TableDef<Row, Row>>>
const queries = made.queries as unknown as readonly Query[]

const sideInput = Array.from({ length: 1100 }, (_, key) => ({ key, value: String(key) }))
// Slow, so that there are several days, and sessions end; out of order.
const slow = new Generator({ rate: 0.02, outOfOrderGroup: 100, activePeople: 20, inFlightAuctions: 20 })
const brisk = new Generator({ rate: 20 })

const eventsOf = (generator: Generator, from: number, to: number): Events => ({
  ...(generator.events(from, to) as unknown as Events),
  sideInput: [],
})

const texts = (rows: readonly (readonly unknown[])[]): string[] => rows.map(row => JSON.stringify(row)).sort()

/** What the oracle makes of events. */
function expectOracle(query: Query, view: gnitz.ViewHandle<Row>, events: Events): void {
  const { rel, schema } = query.view()
  const contents = query.reads.map(name => {
    const rows = events[name].map(row => canonicalRow(tables[name], Object.values(row)))
    return [tables[name], zsetOf(rows.map(row => ({ row, weight: 1n })))] as const
  })
  const found = view.entries().map(({ row, weight }) => ({ row: rowOf(schema, row), weight }))
  expect(printZSet(zsetOf(found))).toBe(printZSet(interpret(rel, new Map(contents)).rows))
}

it.each(queries)('$name is what the oracle and plain JavaScript give, also after events were taken back', query => {
  const db = gnitz.open()
  const view = db.createView(query.view())
  const change = (kind: 'insert' | 'delete', generator: Generator, from: number, to: number) => {
    const events = eventsOf(generator, from, to)
    db.transact(tx => {
      for (const name of query.reads) tx[kind](tables[name], events[name])
    })
  }
  const check = (events: Events) => {
    const want: unknown[][] = REFERENCE[query.name](structuredClone(events) as never)
    expect(texts(view.rows().map(comparable))).toEqual(texts(want))
  }
  if (query.reads.includes('sideInput')) db.insert(tables.sideInput, sideInput)
  change('insert', brisk, 0, STEP)
  const first = { ...eventsOf(brisk, 0, STEP), sideInput }
  expectOracle(query, view, first)
  check(first)
  for (let n = 0; n < EVENTS; n += STEP) change('insert', slow, n, n + STEP)
  change('delete', brisk, 0, STEP)
  change('delete', slow, EVENTS - STEP, EVENTS)
  check({ ...eventsOf(slow, 0, EVENTS - STEP), sideInput })
  db.close()
})

it.each(queries.filter(q => ['q4', 'q5', 'q6', 'q7', 'q11'].includes(q.name)))('$name obeys the laws', query => {
  checkIncremental(query.view(), { runs: 2, seed: 1 })
})

describe('the generator', () => {
  it('makes any part of the stream by itself, one person and three auctions to 46 bids', () => {
    const generator = new Generator({ outOfOrderGroup: 7 })
    const all = generator.events(0, 1000)
    const parts = [generator.events(500, 1000), new Generator({ outOfOrderGroup: 7 }).events(0, 500)]
    expect([all.person.length, all.auction.length, all.bid.length]).toEqual([20, 60, 920])
    expect([...parts[1].bid, ...parts[0].bid]).toEqual(all.bid)
    expect(new Generator({ seed: 1 }).events(0, 100).bid).not.toEqual(new Generator().events(0, 100).bid)
  })

  it('has hot auctions, bidders and sellers in the proportions asked for', () => {
    const share = (ratio: number) => {
      const { auction, bid } = new Generator({
        ...{ hotAuctionRatio: ratio, hotBiddersRatio: ratio, hotSellersRatio: ratio, seed: ratio },
      }).events(250_000, 260_000)
      const hot = (rows: readonly object[], column: string, rest: number) =>
        rows.filter(r => (r as Record<string, number>)[column] % 100 === rest).length / rows.length
      return [hot(bid, 'auction', 0), hot(bid, 'bidder', 1), hot(auction, 'seller', 0)]
    }
    for (const found of share(1)) expect(found).toBeLessThan(0.05)
    for (const found of share(4)) expect(found).toBeGreaterThan(0.7)
    for (const found of share(4)) expect(found).toBeLessThan(0.8)
  })
})
