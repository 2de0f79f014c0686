/** A log that was not closed, and a segment of it that somebody has removed: it is missed, whichever it is. */
import { expect, it } from 'vitest'
import { CorruptionError } from '../../src/base/errors.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { commit, DOCS, docRow, openAt, optionsOf, plus } from './values-support.js'

it.each(['commit', 'interval'] as const)('%s: a segment cannot be lost unnoticed', async durability => {
  const env = new SimulatedEnv({ seed: 4 })
  const options = { durability, segmentBytes: 2000, valueThreshold: Number.POSITIVE_INFINITY }
  const storage = await openAt(env, options)
  storage.createTable(DOCS)
  for (let id = 0; id < 6; id++) {
    commit(storage, [plus(docRow(id))])
    storage.sync()
    await null
  }
  const segments = env.files().filter(f => f.path.endsWith('.log'))
  expect(segments.length).toBeGreaterThan(3)
  for (const { path } of segments) {
    const killed = env.processCrash()
    killed.remove(path)
    const { faults } = await verifyDirectory(optionsOf(killed))
    expect(faults.map(f => f.problem).join()).toMatch(/missing/)
    await expect(openAt(killed, options)).rejects.toThrow(CorruptionError)
    await expect(openAt(killed, { ...options, readOnly: true })).rejects.toThrow()
  }
  const whole = await openAt(env.processCrash(), options)
  expect(whole.lsn).toBe(6n)
  await whole.close()
})

it('nor can one that goes on after a checkpoint', async () => {
  const env = new SimulatedEnv({ seed: 4 })
  const storage = await openAt(env)
  storage.createTable(DOCS)
  commit(storage, [plus(docRow(0))])
  storage.checkpoint()
  for (const id of [1, 2]) {
    commit(storage, [plus(docRow(id))])
    storage.sync()
  }
  const killed = env.processCrash()
  for (const { path } of killed.files()) if (path.endsWith('.log')) killed.remove(path)
  await expect(openAt(killed)).rejects.toThrow(CorruptionError)
})
