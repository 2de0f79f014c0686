import { expect, it } from 'vitest'
import { CountingEnv } from '../../src/env/counting.js'
import { SimulatedEnv } from '../../src/env/simulated.js'

function world(mapping: 'auto' | 'off'): CountingEnv {
  const inner = new SimulatedEnv({ mapping: true })
  inner.plant('/d/f', new Uint8Array(100))
  inner.plant('/d/g', new Uint8Array(100))
  return new CountingEnv(inner, mapping)
}

it('counts the bytes read, once each, by file and place', () => {
  const env = world('off')
  const file = env.open('/d/f', 'read')
  file.read(new Uint8Array(10), 0)
  file.read(new Uint8Array(10), 5)
  file.read(new Uint8Array(50), 80)
  file.read(new Uint8Array(10), 200)
  env.open('/d/g', 'read').read(new Uint8Array(7), 3)
  expect(env.bytesRead('/d/f')).toBe(35)
  expect(env.bytesRead('/d/f', 8, 12)).toBe(4)
  expect(env.bytesRead('/d/f', 15, 80)).toBe(0)
  expect(env.bytesRead('/d/f', 90, 95)).toBe(5)
  expect(env.bytesRead('/d/none')).toBe(0)
  expect(env.bytesRead()).toBe(42)
  expect(env.reads[2]).toEqual({ path: '/d/f', from: 80, to: 100 })
  expect(env.calls.read).toBe(5)
  env.reset()
  expect([env.bytesRead(), env.calls.read, env.calls.open]).toEqual([0, 0, 0])
})

it('maps only when asked to, since mapped reads cannot be counted', () => {
  expect(world('off').map('/d/f')).toBeNull()
  const env = world('auto')
  expect(env.map('/d/f')!.bytes.length).toBe(100)
  expect(env.calls.map).toBe(1)
})

it('counts the other calls and passes them on', async () => {
  const env = world('off')
  env.makeDirectory('/e')
  const file = env.open('/e/x', 'create')
  file.write(new Uint8Array(5), 0)
  file.truncate(4096)
  file.writeThrough(new Uint8Array(7), 0)
  file.truncate(3)
  file.sync()
  await file.syncLater()
  expect(file.size()).toBe(3)
  file.close()
  env.rename('/e/x', '/e/y')
  env.syncDirectory('/e')
  expect(env.list('/e')).toEqual(['y'])
  expect(env.stat('/e/y')?.sizeBytes).toBe(3)
  env.remove('/e/y')
  env.lock('/e/LOCK').release()
  expect(env.now()).toBeGreaterThan(0)
  env.after(1, () => {})()
  const { makeDirectory, open, write, writeThrough, sync, syncLater, rename, syncDirectory, remove } = env.calls
  expect([makeDirectory, open, write, writeThrough, sync, syncLater, rename, syncDirectory, remove]).toEqual(
    new Array(9).fill(1),
  )
  expect(env.calls.truncate).toBe(2)
  expect(env.writtenBytes).toBe(12)
})
