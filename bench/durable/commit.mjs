// A transaction of one row that moves three views, durable when it is
// acknowledged, against what no log can do without: one write and one sync.
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { open } from '../../dist/src/index.js'
import { inDirectory } from '../lib/directory.mjs'
import { median, ratioAtMost, ratioOnly } from '../storage/figures.mjs'
import { define, ordersOf, rowAt, views } from './data.mjs'

const MOST = 1.5
const STATE_ROWS = 50_000
const EACH = 100
const BARE_BYTES = 8 * 2 ** 20
/** What a transaction of one row is in the log, with its headers. */
const GROUP_BYTES = 224

export function commit(quick) {
  const rounds = quick ? 30 : 120
  return inDirectory('gnitz-bench-durable-', async directory => {
    const db = await open(join(directory, 'db'), { checkpointMs: Number.POSITIVE_INFINITY })
    await define(db, views.slice(1, 4))
    await db.ingest('orders', { columns: ordersOf(0, STATE_ROWS) })
    db.checkpoint()
    const bare = bareFile(join(directory, 'bare'))
    const columns = ordersOf(STATE_ROWS, STATE_ROWS + rounds * EACH)
    const times = { gnitz: [], applied: [], bare: [] }
    for (let round = 0; round < rounds; round++) {
      // The first third warms up.
      const kept = round * 3 >= rounds
      for (let n = 0; n < EACH; n++) {
        const row = rowAt(columns, round * EACH + n)
        const start = performance.now()
        const committed = db.insert('orders', row)
        const applied = performance.now()
        await committed
        const done = performance.now()
        if (!kept) continue
        times.gnitz.push(done - start)
        times.applied.push(applied - start)
      }
      for (let n = 0; n < EACH; n++) {
        const start = performance.now()
        bare.write()
        if (kept) times.bare.push(performance.now() - start)
      }
    }
    bare.close()
    await db.close()
    const [ours, applied, theirs] = [times.gnitz, times.applied, times.bare].map(median)
    const note = `medians: ${us(ours)}, of which ${us(applied)} until the views are current; bare ${us(theirs)}`
    const perSecond = 1000 / ours
    return [
      ratioAtMost('one row, three views', perSecond, 'tx/s', ours / theirs, MOST, 'write + fdatasync', note),
      ratioOnly(
        '  the quickest tenth',
        1000 / low(times.gnitz),
        'tx/s',
        low(times.gnitz) / low(times.bare),
        'the quickest tenth of bare ones',
      ),
    ]
  })
}

const us = ms => `${(ms * 1000).toFixed(0)} µs`
const low = values => values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)]

/** A file with its bytes in place, as the log's are: a sync has nothing but data to make durable. */
function bareFile(path) {
  const fd = openSync(path, 'w')
  writeSync(fd, Buffer.alloc(BARE_BYTES), 0, BARE_BYTES, 0)
  fsyncSync(fd)
  const bytes = Buffer.alloc(GROUP_BYTES, 1)
  let at = 0
  return {
    write() {
      writeSync(fd, bytes, 0, bytes.length, at)
      at = (at + bytes.length) % (BARE_BYTES - GROUP_BYTES)
      fdatasyncSync(fd)
    },
    close: () => closeSync(fd),
  }
}
