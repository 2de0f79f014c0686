/** `gnitz inspect` as its users see it: arguments in, text, files and an exit code out. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { cli } from '../../src/cli/cli.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** In this process: for command lines that load no module. */
async function here(...args: string[]): Promise<Outcome> {
  let out = ''
  let err = ''
  const terminal = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    },
  }
  return { code: await cli(args, terminal), out, err }
}

/** In a process of its own, as users run it. */
function run(...args: string[]): Promise<Outcome> {
  const command = ['bin/gnitz.js', ...args]
  return new Promise(resolve => {
    const child = execFile(process.execPath, command, { cwd: root }, (_, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err })
    })
  })
}

describe('the command line', () => {
  it('helps', async () => {
    expect(await here('--help')).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringContaining('Usage: gnitz inspect'),
    })
    expect(await here('inspect', '-h')).toMatchObject({ code: 0, err: '' })
  })

  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(await here('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  it.each([
    [[], 'expected a command'],
    [['dump'], `expected a command (inspect, manifest, shard, wal, verify, amplification, check), found 'dump'`],
    [['inspect'], 'expected a module'],
    [['inspect', 'a.ts', 'b.ts'], `expected one module, found 'b.ts' too`],
    [['inspect', 'a.ts', '--fast'], '--fast'],
    [['inspect', 'a.ts', '--view'], '--view'],
  ])('refuses %j', async (args, message) => {
    const outcome = await here(...args)
    expect(outcome).toMatchObject({ code: 2, out: '' })
    expect(outcome.err).toContain(message)
    expect(outcome.err).toContain('Usage: gnitz inspect')
  })

  it('says that a file is missing', async () => {
    expect(await here('inspect', 'absent.ts')).toEqual({ code: 1, out: '', err: 'gnitz: absent.ts: no such file\n' })
  })
})

describe('inspect', () => {
  it('shows plan and source of every view', async () => {
    const { code, out, err } = await run('inspect', 'test/cli/modules/spend.ts')
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(out).toContain('spend: plan\n')
    expect(out).toContain('large/orders: plan\n')
    expect(out).toContain('sourceURL=gnitz/spend/')
  })

  it('writes files whose names stay in the folder', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gnitz-inspect-'))
    try {
      const all = ['--plan', '--source', '--dot', '--svg', '--stats']
      const { code } = await run('inspect', 'test/cli/modules/spend.ts', '--view', 'large/orders', ...all, '--out', dir)
      expect(code).toBe(0)
      const names = ['dot', 'js', 'plan.txt', 'stats.txt', 'svg'].map(extension => `large%2Forders.${extension}`)
      expect(readdirSync(dir).sort()).toEqual(names)
      expect(readFileSync(join(dir, 'large%2Forders.dot'), 'utf8')).toMatch(/^digraph/)
      expect(readFileSync(join(dir, 'large%2Forders.svg'), 'utf8')).toMatch(/^<svg/)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('names the views it knows', async () => {
    const { code, out, err } = await run('inspect', 'test/cli/modules/spend.ts', '--view', 'spending')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(`expected a view named 'spending', found: spend, large/orders`)
  })

  it('shows where a lambda cannot be compiled, without a stack', async () => {
    const { code, err } = await run('inspect', 'test/cli/modules/closure.ts')
    expect(code).toBe(1)
    expect(err).toMatch(/^gnitz: CompileError: /)
    expect(err).toContain('limit')
    expect(err).not.toMatch(/^ +at /m)
  })
})
