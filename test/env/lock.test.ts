import { type ChildProcess, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript-5'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LockedError } from '../../src/base/errors.js'
import { acquireLock } from '../../src/env/lock.js'
import { NodeEnv } from '../../src/env/node.js'
import { isAlive, ownIdentity } from '../../src/env/process-identity.js'

let directory: string
let path: string
let children: Contender[]
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'gnitz-lock-'))
  path = join(directory, 'LOCK')
  children = []
})
afterEach(async () => {
  await Promise.all(children.map(child => child.kill()))
  fs.rmSync(directory, { recursive: true })
})

/** The child and what it imports as plain JavaScript, which starts far faster than a loader for TypeScript. */
const compiled = fs.mkdtempSync(join(tmpdir(), 'gnitz-lock-child-'))
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
beforeAll(() => {
  fs.writeFileSync(join(compiled, 'package.json'), '{"type":"module"}')
  for (const name of ['base/errors', 'env/lock', 'env/failure', 'env/process-identity']) compile(`src/${name}`)
  compile('test/env/lock-child')
})
afterAll(() => fs.rmSync(compiled, { recursive: true }))

function compile(name: string): void {
  const target = join(compiled, `${name}.js`)
  fs.mkdirSync(dirname(target), { recursive: true })
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  fs.writeFileSync(target, ts.transpile(fs.readFileSync(join(ROOT, `${name}.ts`), 'utf8'), compilerOptions))
}

/** A process that runs `lock-child.ts`. */
class Contender {
  private readonly lines: string[] = []
  private wake: () => void = () => {}
  private readonly gone: Promise<void>
  private readonly process: ChildProcess

  constructor() {
    const script = join(compiled, 'test/env/lock-child.js')
    this.process = spawn(process.execPath, [script, path], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.process.stdout!.on('data', (text: Buffer) => {
      this.lines.push(...text.toString().trim().split('\n'))
      this.wake()
    })
    this.gone = new Promise(resolve => {
      this.process.once('exit', () => {
        resolve()
        this.wake()
      })
    })
    children.push(this)
  }

  get pid(): number {
    return this.process.pid!
  }

  /** Its next line of output. */
  async line(): Promise<string> {
    while (this.lines.length === 0) {
      if (this.process.exitCode !== null) return `exited ${this.process.exitCode}`
      await new Promise<void>(resolve => {
        this.wake = resolve
      })
    }
    return this.lines.shift()!
  }

  go(): void {
    this.process.stdin!.write('go\n')
  }

  async end(): Promise<void> {
    this.process.stdin!.end()
    await this.gone
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.gone
  }
}

async function holder(): Promise<Contender> {
  const child = new Contender()
  expect(await child.line()).toBe('ready')
  child.go()
  expect(await child.line()).toBe('held')
  return child
}

function refusedPid(call: () => unknown): number {
  try {
    call()
  } catch (error) {
    if (error instanceof LockedError) return error.pid
    throw error
  }
  throw new Error('expected a LockedError')
}

/** Leaves a lock file as a process would that is not this one. */
function plant(claim: object | string): void {
  fs.writeFileSync(path, typeof claim === 'string' ? claim : JSON.stringify(claim))
  fs.utimesSync(path, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))
}

const NONCE = '0123456789abcdef'
const left = () => fs.readdirSync(directory)

describe('within a process', () => {
  it('is held once and free after release', () => {
    const env = new NodeEnv()
    const lock = env.lock(path)
    expect(refusedPid(() => env.lock(path))).toBe(process.pid)
    expect(() => env.lock(path)).toThrow(`${path}: process ${process.pid} is writing to this directory`)
    lock.release()
    expect(left()).toEqual([])
    const again = env.lock(path)
    lock.release()
    expect(left()).toEqual(['LOCK'])
    again.release()
    expect(left()).toEqual([])
  })

  it('names the directory that is missing', () => {
    expect(() => acquireLock(join(directory, 'none/LOCK'))).toThrow(/none\/LOCK.*ENOENT/)
  })

  it('releases quietly when its directory is gone', () => {
    const lock = acquireLock(path)
    fs.rmSync(path)
    lock.release()
  })
})

describe('a stale file', () => {
  it('of a process that has the pid now but started at another time', {
    skip: !fs.existsSync('/proc/self/stat'),
  }, () => {
    plant({ ...ownIdentity(), started: '1', nonce: NONCE })
    acquireLock(path).release()
    expect(left()).toEqual([])
  })

  it('of an earlier boot', { skip: !fs.existsSync('/proc/self/stat') }, () => {
    plant({ ...ownIdentity(), boot: 'an earlier one', nonce: NONCE })
    acquireLock(path).release()
  })

  it.each([
    '',
    'garbage',
    '{}',
    '\0'.repeat(100),
    `{"pid":1,"started":"","boot":"","nonce":"../../x"}`,
    'x'.repeat(9999),
  ])('that cannot be read (%#)', text => {
    plant(text)
    acquireLock(path).release()
    expect(left()).toEqual([])
  })

  it('counts as being written while it is fresh', () => {
    fs.writeFileSync(path, '')
    const started = Date.now()
    acquireLock(path).release()
    expect(Date.now() - started).toBeGreaterThan(500)
  })

  it('is taken over although an earlier takeover was broken off, and nothing is left lying about', () => {
    const dead = { pid: 1, started: 'never', boot: 'an earlier one' }
    plant({ ...dead, nonce: NONCE })
    fs.renameSync(path, `${path}.kept`)
    plant({ ...dead, nonce: 'aaaaaaaaaaaaaaaa' })
    fs.renameSync(path, `${path}.${NONCE}`)
    plant('half a cla')
    fs.renameSync(path, `${path}.bbbbbbbbbbbbbbbb.draft`)
    fs.renameSync(`${path}.kept`, path)
    const lock = acquireLock(path)
    expect(left()).toEqual(['LOCK'])
    lock.release()
  })
})

describe('without /proc', () => {
  const NO_PROC = '/nonexistent'

  it('goes by the pid alone', async () => {
    const child = await holder()
    expect(ownIdentity(NO_PROC)).toEqual({ pid: process.pid, started: '', boot: '' })
    expect(isAlive({ pid: child.pid, started: '', boot: '' }, NO_PROC)).toBe(true)
    expect(refusedPid(() => acquireLock(path, NO_PROC))).toBe(child.pid)
    await child.kill()
    expect(isAlive({ pid: child.pid, started: '', boot: '' }, NO_PROC)).toBe(false)
    const lock = acquireLock(path, NO_PROC)
    expect(refusedPid(() => acquireLock(path, NO_PROC))).toBe(process.pid)
    lock.release()
  })
})

describe('between processes', () => {
  it('refuses while the holder lives, is free after its release and after kill -9', async () => {
    const first = await holder()
    expect(refusedPid(() => acquireLock(path))).toBe(first.pid)
    await first.end()
    expect(left()).toEqual([])
    const second = await holder()
    expect(refusedPid(() => acquireLock(path))).toBe(second.pid)
    await second.kill()
    expect(left()).toEqual(['LOCK'])
    acquireLock(path).release()
    expect(left()).toEqual([])
  })

  it('lets one of eight take over from a killed holder, and tells the others who', async () => {
    await (await holder()).kill()
    let contenders = Array.from({ length: 8 }, () => new Contender())
    for (const contender of contenders) expect(await contender.line()).toBe('ready')
    for (let round = 0; round < 4; round++) {
      for (const contender of contenders) contender.go()
      const answers = await Promise.all(contenders.map(contender => contender.line()))
      const winner = contenders[answers.indexOf('held')]
      const expected = contenders.map(contender => (contender === winner ? 'held' : `refused ${winner?.pid}`))
      expect(answers).toEqual(expected)
      expect(left()).toEqual(['LOCK'])
      await winner.kill()
      contenders = contenders.filter(contender => contender !== winner)
    }
  })
})
