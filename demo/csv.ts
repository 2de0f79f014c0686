/** Comma-separated values with a header line, quoted as RFC 4180 says: enough for `airports.csv`. */

/**
 * Records of `text` as objects by header name.
 * Throws when a record has not as many fields as the header, or a quote is not closed.
 */
export function parseCsv(text: string): Record<string, string>[] {
  const [header, ...records] = parseRecords(text)
  if (header === undefined) throw new Error('CSV: expected a header line, found an empty file')
  return records.map((record, i) => {
    if (record.length !== header.length) {
      throw new Error(`CSV: record ${i + 1}: expected ${header.length} fields, found ${record.length}`)
    }
    return Object.fromEntries(header.map((name, column) => [name, record[column]]))
  })
}

function parseRecords(text: string): string[][] {
  const records: string[][] = []
  let record: string[] = []
  const lines = text === '' || text.endsWith('\n') ? text : `${text}\n`
  // A field is quoted (doubled quotes stand for one) or bare; what follows it is a comma or a line end.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n)/y
  while (field.lastIndex < lines.length) {
    const start = field.lastIndex
    const match = field.exec(lines)
    if (match === null) throw new Error(`CSV: record ${records.length}: bad quoting at character ${start}`)
    const [, quoted, bare, end] = match
    record.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'))
    if (end !== ',') {
      records.push(record)
      record = []
    }
  }
  return records
}
