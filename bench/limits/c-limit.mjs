// Builds limits.c, dumps the workload, runs it and checks the view.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hashRows, referenceRows, WIDTH } from '../lib/reference.mjs'
import { dump } from './dump.mjs'

const [, , wname, scaleArg] = process.argv
const scale = Number(scaleArg ?? 1)
const dir = mkdtempSync(join(tmpdir(), 'ivm-limit-'))
try {
  const exe = join(dir, 'limits')
  execFileSync('gcc', ['-O3', '-march=native', '-o', exe, fileURLToPath(new URL('./limits.c', import.meta.url))])
  const w = dump(wname, scale, join(dir, 'data'))
  const out = JSON.parse(execFileSync(exe, [join(dir, 'data'), join(dir, 'view')], { encoding: 'utf8' }))
  const buf = readFileSync(join(dir, 'view'))
  const flat = new Float64Array(buf.buffer.slice(buf.byteOffset, buf.byteOffset + buf.byteLength))
  const rows = []
  for (let i = 0; i < flat.length; i += 3) rows.push([flat[i], flat[i + 1], flat[i + 2]])
  const hash = hashRows(rows, WIDTH[wname])
  const wantHash = hashRows(referenceRows(w), WIDTH[wname])
  const result = {
    peer: 'limit-c',
    workload: wname,
    scale,
    status: hash === wantHash ? 'ok' : 'wrong',
    loadMode: 'maintained per batch',
    ...out,
    batchSize: w.batches.length ? w.batchChanges : w.loadBatch,
    hash,
    wantHash,
  }
  process.stdout.write(JSON.stringify({ result }) + '\n')
} finally {
  rmSync(dir, { recursive: true, force: true })
}
