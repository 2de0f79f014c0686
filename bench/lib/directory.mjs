// Directories to work in, under the temporary folder: point TMPDIR at the disk
// that is to be measured.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Calls `work` with a new directory, and removes it afterwards. */
export async function inDirectory(prefix, work) {
  const directory = mkdtempSync(join(tmpdir(), prefix))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
