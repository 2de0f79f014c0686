// Materialised views for the peers whose output is a stream of deltas.

// Rows whose identity is a number (a row id, or a packed id and attribute).
// Counts multiplicities, so deltas may arrive in any order inside a batch.
export class CountingView {
  constructor() {
    this.map = new Map()
  }
  add(identity, row, mult) {
    const e = this.map.get(identity)
    if (e === undefined) {
      this.map.set(identity, { row, n: mult })
      return
    }
    e.n += mult
    if (e.n === 0) this.map.delete(identity)
  }
  *rows() {
    for (const e of this.map.values()) for (let i = 0; i < e.n; i++) yield e.row
  }
}

// One row per key: retractions of a batch first, then the new rows.
export class KeyedView {
  constructor() {
    this.map = new Map()
  }
  rows() {
    return this.map.values()
  }
}
