/** The demo's parts that do not need an engine: its readers, its figures, its screen, its judge. */
import { describe, expect, it } from 'vitest'
import { parseCsv } from '../../demo/csv.js'
import { DEFAULT_DIRECTORY } from '../../demo/directory.js'
import { FlightReader, flightColumns, openFlights, readAirports } from '../../demo/flights.js'
import { duration, integer, Latencies, minute, rate } from '../../demo/format.js'
import { Pipeline } from '../../demo/journal.js'
import { type Frame, PLAIN, renderFrame } from '../../demo/layout.js'
import { parseOptions } from '../../demo/options.js'
import { sample } from '../../demo/random.js'
import { LiveScreen, PlainScreen } from '../../demo/screen.js'
import { difference, RECOMPUTE } from '../../demo/verify.js'

describe('parseCsv', () => {
  it('reads quoted and bare fields', () => {
    expect(parseCsv('a,b\r\n1,"x, ""y""\nz"\r\n,\n')).toEqual([
      { a: '1', b: 'x, "y"\nz' },
      { a: '', b: '' },
    ])
    expect(parseCsv('a,b\n1,2')).toEqual([{ a: '1', b: '2' }])
    expect(parseCsv('a,b\n1,')).toEqual([{ a: '1', b: '' }])
  })

  it('says which record is wrong', () => {
    expect(() => parseCsv('a,b\n1\n')).toThrow('CSV: record 1: expected 2 fields, found 1')
    expect(() => parseCsv('a\n"x\n')).toThrow('CSV: record 1: bad quoting at character 2')
    expect(() => parseCsv('')).toThrow('expected a header line')
  })
})

describe('the flights', () => {
  it('are read up to the limit, once, when they are needed', async () => {
    const heard: number[] = []
    const file = await openFlights()
    expect(file.rowCount).toBe(3_000_000)
    const reader = new FlightReader(file, 1000)
    const flights = reader.columns
    expect(flights.rowCount).toBe(1000)
    expect(flights.origin[0]).toBe('')
    for (let n = 0; n < 2; n++) await reader.need(10, 30, async end => void heard.push(end))
    expect(heard).toEqual([1000])
    const first = {
      id: [0n],
      at: [978307260000000n],
      delay: [33],
      distance: [2176],
      origin: ['LAS'],
      destination: ['PHL'],
    }
    const columns0 = flightColumns(flights, 0, 1)
    expect(Object.fromEntries(Object.entries(columns0).map(([name, c]) => [name, [...c]]))).toEqual(first)
    const columns = flightColumns(flights, 10, 30)
    expect(Object.values(columns).map(column => column.length)).toEqual([20, 20, 20, 20, 20, 20])
    expect(columns.origin[5]).toBe(flights.origin[15])
    expect(columns.delay.buffer).toBe(flights.delay.buffer)
  })

  it('start at known airports', async () => {
    const airports = await readAirports()
    expect(airports).toHaveLength(3376)
    expect(airports.find(({ iata }) => iata === 'LAS')).toMatchObject({ city: 'Las Vegas', state: 'NV' })
  })
})

describe('figures', () => {
  it('have units', () => {
    expect([0.0123, 0.85, 12.345, 345.6, 4567, 123_456].map(duration)).toEqual([
      '12.3 µs',
      '850 µs',
      '12.3 ms',
      '346 ms',
      '4.57 s',
      '123 s',
    ])
    expect(rate(3_000_000, 1500)).toBe('2.00 M rows/s')
    expect(rate(1234, 1000)).toBe('1,234 rows/s')
    expect(rate(0, 0)).toBe('0 rows/s')
    expect(integer(1234567n)).toBe('1,234,567')
    expect(minute(978307260000000n)).toBe('2001-01-01 00:01')
  })

  it('quantiles are samples', () => {
    const latencies = new Latencies()
    expect(latencies.quantile(0.5)).toBe(0)
    expect(latencies.measure(() => 'result')).toBe('result')
    expect(latencies.count).toBe(1)
    expect(latencies.quantile(0.99)).toBe(latencies.totalMs)
  })

  it('a sample is the same for the same seed, and has no number twice', () => {
    const chosen = sample(500, 1000, 7)
    expect(new Set(chosen).size).toBe(500)
    expect(Math.max(...chosen)).toBeLessThan(1000)
    expect(sample(500, 1000, 7)).toEqual(chosen)
    expect(sample(500, 1000, 8)).not.toEqual(chosen)
    expect(sample(5, 5, 1).sort()).toEqual([0, 1, 2, 3, 4])
  })
})

describe('options', () => {
  it('have defaults', () => {
    const directory = DEFAULT_DIRECTORY
    expect(parseOptions([])).toEqual({ plain: false, help: false, rows: null, batch: 10_000, directory, fresh: false })
    expect(parseOptions(['--plain', '--rows', '5,000', '--batch=7', '--data', 'd', '--fresh'])).toEqual({
      plain: true,
      help: false,
      rows: 5000,
      batch: 7,
      directory: 'd',
      fresh: true,
    })
    expect(parseOptions(['--memory']).directory).toBeNull()
  })

  it.each([
    [['--fast']],
    [['extra']],
    [['--rows', '0']],
    [['--rows', 'many']],
    [['--batch', '1.5']],
    [['--rows']],
    [['--memory', '--data', 'd']],
    [['--memory', '--fresh']],
  ])('refuse %j', args => {
    expect(() => parseOptions(args)).toThrow()
  })
})

const FRAME: Frame = {
  title: 'gnitz',
  phase: 'replay',
  done: 250,
  total: 1000,
  position: '2001-01-01 00:01',
  facts: '1 M rows/s',
  panels: ['first', 'second', 'third'].map(title => ({
    title,
    columns: [
      { name: 'origin', align: 'left' },
      { name: 'flights', align: 'right' },
    ],
    rows: [
      ['ATL', '1,234'],
      ['ORD', '5'],
    ],
  })),
}

describe('a pipeline', () => {
  it('counts what is acknowledged, holds back when too much is not, and hands on a failure', async () => {
    const acknowledge: (() => void)[] = []
    const commit = () => new Promise<void>(resolve => acknowledge.push(resolve))
    const pipeline = new Pipeline(2, 5)
    await pipeline.add(commit(), 10)
    let isHeld = true
    const second = pipeline.add(commit(), 20).then(() => {
      isHeld = false
    })
    await new Promise(setImmediate)
    expect([isHeld, pipeline.acknowledged]).toEqual([true, 5])
    acknowledge[0]()
    await second
    expect(pipeline.acknowledged).toBe(10)
    acknowledge[1]()
    await pipeline.drain()
    expect([pipeline.acknowledged, pipeline.latencies.count]).toEqual([20, 2])
    await pipeline.add(Promise.reject(new Error('the disk is full')), 30)
    await expect(pipeline.drain()).rejects.toThrow('the disk is full')
    expect(pipeline.acknowledged).toBe(20)
  })
})

describe('the screen', () => {
  it('flows panels into the width', () => {
    expect(renderFrame(FRAME, 70, 40, PLAIN)).toEqual([
      'gnitz',
      '',
      `replay      ${'█'.repeat(7)}${'░'.repeat(20)}  250 / 1,000  2001-01-01 00:01`,
      '            1 M rows/s',
      '',
      'first             second            third',
      'origin  flights   origin  flights   origin  flights',
      'ATL       1,234   ATL       1,234   ATL       1,234',
      'ORD           5   ORD           5   ORD           5',
    ])
  })

  it('never exceeds the terminal', () => {
    for (const width of [1, 10, 33, 34, 80, 200]) {
      for (const height of [1, 5, 9, 14, 50]) {
        const lines = renderFrame(FRAME, width, height, PLAIN)
        expect(lines.length).toBeLessThanOrEqual(height)
        expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(width)
      }
    }
  })

  it('gives the terminal back, once', () => {
    const written: string[] = []
    const screen = new LiveScreen({ columns: 40, rows: 10, write: text => written.push(text) })
    screen.update(() => FRAME)
    screen.update(() => {
      throw new Error('drawn too soon')
    })
    screen.close()
    screen.close()
    screen.finish(() => FRAME)
    expect(written).toHaveLength(3)
    expect(written[0]).toContain('\x1b[?25l')
    expect(written[2]).toBe('\x1b[?25h\x1b[?1049l')
  })

  it('prints plain lines to a file', () => {
    let text = ''
    const screen = new PlainScreen({
      write: part => {
        text += part
      },
    })
    screen.finish(() => ({ ...FRAME, panels: [] }))
    expect(text).toBe('replay         25 %  2001-01-01 00:01  1 M rows/s\n')
  })
})

describe('the judge', () => {
  const expected = () => ({ key: ['k'], rows: new Map([['a', { k: 'a', n: 1n, x: 0.5 }]]) })

  it('sees every difference', () => {
    expect(difference([{ k: 'a', n: 1n, x: 0.5 }], expected())).toBeNull()
    expect(difference([], expected())).toBe('row a: expected {"k":"a","n":"1n","x":0.5}, found none')
    expect(difference([{ k: 'b', n: 1n }], expected())).toBe('row b: expected none, found {"k":"b","n":"1n"}')
    expect(difference([{ k: 'a', n: 2n, x: 0.5 }], expected())).toBe('row a, column n: expected "1n", found "2n"')
    expect(difference([{ k: 'a', n: 1n }], expected())).toBe('row a, column x: expected 0.5, found undefined')
    const twice = { k: 'a', n: 1n, x: 0.5 }
    expect(difference([twice, twice], expected())).toBe('row a: expected once, found again')
  })

  it('recomputes from the raw columns', () => {
    const flights = {
      rowCount: 4,
      id: BigUint64Array.of(0n, 1n, 2n, 3n),
      at: BigInt64Array.of(978307260000000n, 978310860000000n, 978307260000000n, 978307260000000n),
      delay: Int32Array.of(90, -5, 10, 1000),
      distance: Int32Array.of(100, 200, 300, 400),
      origin: ['ATL', 'ATL', 'ORD', 'ATL'],
      destination: ['ORD', 'ORD', 'ATL', 'ORD'],
    }
    const data = { flights, marks: Uint8Array.of(1, 1, 1, 0) }
    const airports = [{ iata: 'ATL', name: '', city: '', state: 'GA' }]
    const rows = (name: string) => [...RECOMPUTE[name](data, airports).rows.values()]
    expect(rows('delays_by_origin')).toEqual([
      { origin: 'ATL', flights: 2n, total: 85, mean: 42.5 },
      { origin: 'ORD', flights: 1n, total: 10, mean: 10 },
    ])
    expect(rows('delays_by_hour').map(row => row.hour)).toEqual([0, 1])
    expect(rows('delays_by_route')[0]).toMatchObject({ origin: 'ATL', best: -5, worst: 90 })
    expect(rows('delays_by_state')).toEqual([{ state: 'GA', flights: 2n, miles: 300, mean: 42.5 }])
    expect(rows('routes')).toHaveLength(2)
    expect(rows('late_share')).toEqual([{ origin: 'ATL', flights: 2n, late: 1n, percent: 50 }])
    expect(rows('very_late').map(row => row.id)).toEqual([0n])
    expect(rows('longest_delays').map(row => row.delay)).toEqual([90])
  })
})
