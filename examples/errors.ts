/** What happens to input that does not fit: definitions, rows, and expressions that fail on a row. */
import { CompileError, ExpressionError, i64, open, RowError, table, u64, view } from 'gnitz'

const parts = table('parts', { id: u64().primaryKey(), price: i64(), pieces: i64() })

// A lambda is read, not called: a variable from outside is unknown to it.
const limit = 100n
try {
  view('dear', q => q.from(parts).filter(p => p.price > limit))
} catch (error) {
  if (error instanceof CompileError) console.log(error.message)
}

const each = view('each', q => q.from(parts).map(p => ({ id: p.id, price: p.price / p.pieces })))
const db = open()
const prices = db.createView(each)

// A row that does not fit refuses the whole transaction.
try {
  db.insert(parts, [
    { id: 1, price: 80, pieces: 4 },
    { id: 2, price: 1.5, pieces: 1 },
  ])
} catch (error) {
  if (error instanceof RowError) console.log(error.message)
}

// An expression that fails on a row does not: the failure is kept with the row.
db.insert(parts, [
  { id: 1, price: 80, pieces: 4 },
  { id: 2, price: 60, pieces: 0 },
])
console.log(prices.errors())
try {
  prices.rows()
} catch (error) {
  if (error instanceof ExpressionError) console.log(error.message)
}
db.delete(parts, { id: 2, price: 60, pieces: 0 })
console.log(prices.rows())
