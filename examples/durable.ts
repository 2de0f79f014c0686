/** A database in a directory: opened, closed, and opened again. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { count, open, string, table, u64, view } from 'gnitz'

const directory = mkdtempSync(join(tmpdir(), 'gnitz-'))
const visits = table('visits', { id: u64().primaryKey(), page: string() })
const pages = view('pages', q =>
  q
    .from(visits)
    .groupBy(v => ({ page: v.page }))
    .aggregate({ visits: count() }),
)

const first = await open(directory)
first.createView(pages)
await first.insert(visits, [
  { id: 1, page: '/' },
  { id: 2, page: '/docs' },
]) // on disk from here on
await first.close()

const second = await open(directory, { memory: '256MiB' })
console.log(second.lsn, second.view('pages').rows())
second.createView(pages) // the stored view: nothing is computed again
await second.insert(visits, { id: 3, page: '/docs' })
console.log(second.view(pages).get('/docs'))
await second.close()
rmSync(directory, { recursive: true })
