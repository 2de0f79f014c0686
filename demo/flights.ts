/**
 * The demo's data: three million US flights of 2001 in the order they left, and the airports they used, read from
 * the files of the `vega-datasets` package into columns that can be ingested as they are.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type AsyncBuffer, asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetRead } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { parseCsv } from './csv.js'

/** Flights as columns; row i of each belongs to flight i. */
export interface Flights {
  readonly rowCount: number
  /** The row number: the file has no key of its own. */
  readonly id: BigUint64Array
  /** Scheduled departure, local time, in microseconds since 1970. */
  readonly at: BigInt64Array
  /** Minutes late on arrival; negative when early. */
  readonly delay: Int32Array
  /** Miles. */
  readonly distance: Int32Array
  /** IATA codes. */
  readonly origin: string[]
  readonly destination: string[]
}

export interface Airport {
  readonly iata: string
  readonly name: string
  readonly city: string
  readonly state: string
}

const COLUMNS = ['date', 'delay', 'distance', 'origin', 'destination'] as const

/** Path of a data file of the `vega-datasets` package, wherever npm put it. */
function dataFile(name: string): string {
  return fileURLToPath(new URL(`../data/${name}`, import.meta.resolve('vega-datasets')))
}

/** The file of all flights; only its table of contents has been read. */
export interface FlightFile {
  readonly rowCount: number
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
}

export async function openFlights(): Promise<FlightFile> {
  const file = await asyncBufferFromFile(dataFile('flights-3m.parquet'))
  const metadata = await parquetMetadataAsync(file)
  return { rowCount: Number(metadata.num_rows), file, metadata }
}

/** The first `rowCount` flights of the file. They are read as they are needed, a row group at a time. */
export class FlightReader {
  readonly columns: Flights
  private readonly missing: [start: number, end: number][]

  constructor(
    private readonly source: FlightFile,
    rowCount: number,
  ) {
    this.columns = allocate(rowCount)
    this.missing = rowGroups(source.metadata).filter(([start]) => start < rowCount)
  }

  /** Reads what is missing of the flights [from, to); `onProgress` hears the end of what was read. */
  async need(from: number, to: number, onProgress?: (end: number) => Promise<void>): Promise<void> {
    for (const group of this.missing.filter(([start, end]) => start < to && from < end)) {
      await this.read(group)
      this.missing.splice(this.missing.indexOf(group), 1)
      await onProgress?.(Math.min(group[1], this.columns.rowCount))
    }
  }

  private async read([rowStart, end]: [start: number, end: number]): Promise<void> {
    const { file, metadata } = this.source
    await parquetRead({
      file,
      metadata,
      columns: [...COLUMNS],
      rowStart,
      rowEnd: Math.min(end, this.columns.rowCount),
      compressors,
      // Timestamps stay numbers of microseconds; a Date per row would only be taken apart again.
      parsers: { timestampFromMicroseconds: (micros: bigint) => micros },
      onChunk: ({ columnName, columnData, rowStart: at }) => copyChunk(this.columns, columnName, columnData, at),
    })
  }
}

function allocate(rowCount: number): Flights {
  const id = new BigUint64Array(rowCount)
  for (let i = 0; i < rowCount; i++) id[i] = BigInt(i)
  return {
    rowCount,
    id,
    at: new BigInt64Array(rowCount),
    delay: new Int32Array(rowCount),
    distance: new Int32Array(rowCount),
    origin: new Array<string>(rowCount).fill(''),
    destination: new Array<string>(rowCount).fill(''),
  }
}

function rowGroups(metadata: FileMetaData): [start: number, end: number][] {
  let end = 0
  return metadata.row_groups.map(group => {
    const start = end
    end += Number(group.num_rows)
    return [start, end]
  })
}

/** Copies decoded values, the first of which is of row `rowStart`. A chunk may reach beyond the rows asked for. */
function copyChunk(flights: Flights, column: string, values: ArrayLike<unknown>, rowStart: number): void {
  const n = Math.min(values.length, flights.rowCount - rowStart)
  const bad = (i: number, expected: string) =>
    new Error(`flights, column ${column}, row ${rowStart + i}: expected ${expected}, found ${typeof values[i]}`)
  if (column === 'origin' || column === 'destination') {
    const target = flights[column]
    for (let i = 0; i < n; i++) {
      const value = values[i]
      if (typeof value !== 'string') throw bad(i, 'a string')
      target[rowStart + i] = value
    }
    return
  }
  for (let i = 0; i < n; i++) {
    const value = values[i]
    if (typeof value !== 'bigint') throw bad(i, 'an integer')
    if (column === 'date') flights.at[rowStart + i] = value
    else if (column === 'delay') flights.delay[rowStart + i] = Number(value)
    else flights.distance[rowStart + i] = Number(value)
  }
}

/** Columns of the flights [start, end), as `db.ingest` takes them; the typed arrays are views, not copies. */
export function flightColumns(flights: Flights, start: number, end: number): Omit<Flights, 'rowCount'> {
  return {
    id: flights.id.subarray(start, end),
    at: flights.at.subarray(start, end),
    delay: flights.delay.subarray(start, end),
    distance: flights.distance.subarray(start, end),
    origin: flights.origin.slice(start, end),
    destination: flights.destination.slice(start, end),
  }
}

/** Every airport of the file, in its order. */
export async function readAirports(): Promise<Airport[]> {
  const records = parseCsv(await readFile(dataFile('airports.csv'), 'utf8'))
  return records.map(({ iata, name, city, state }) => ({ iata, name, city, state }))
}
