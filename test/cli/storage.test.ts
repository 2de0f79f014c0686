/** The commands about directories, as their users see them: arguments in, text and an exit code out. */
import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { cli } from '../../src/cli/cli.js'
import type { MappedFile } from '../../src/env/env.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { Storage } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { runOf, schemaOf } from '../zset/support.js'

const project = fileURLToPath(new URL('../..', import.meta.url))
const FIXTURE = join(project, 'fixtures/format/directory')
const LOG = 'wal-0000000000000004.log'
const SHARD = 'shard-0000000000000002.gnz'
const root = mkdtempSync(join(tmpdir(), 'gnitz-cli-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let copies = 0
function copy(): string {
  const directory = join(root, `d${++copies}`)
  cpSync(FIXTURE, directory, { recursive: true })
  return directory
}

async function run(...args: string[]) {
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

/** The JSON values of an output, one a line. */
async function json<T>(...args: string[]): Promise<T[]> {
  const { code, out, err } = await run(...args, '--json')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as T)
}

function command(...args: string[]): string[] {
  return [join(project, 'bin/gnitz.js'), ...args]
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] ^= 0x10
  writeFileSync(file, bytes)
}

const plain = arrangedLayout(schemaOf('plain', 'id:u64', 'v:i32'), [0])
const openPlain = (directory: string) => {
  return Storage.open({ env: new NodeEnv(), directory, kernelsOf, durability: 'none', memTableBytes: 4096 })
}
const put = (storage: Storage, from: number, count: number) => {
  const rows = Array.from({ length: count }, (_, i) => ({ row: [BigInt(from + i), i], weight: 1n }))
  return storage.commit([{ table: storage.table('plain') as Tree, delta: runOf(plain, rows) }]).durable
}

describe('all commands', () => {
  const names = ['manifest', 'shard', 'wal', 'verify', 'amplification']

  it.each(names)('%s helps', async name => {
    expect(await run(name, '--help')).toMatchObject({ code: 0, err: '', out: expect.stringContaining(`gnitz ${name}`) })
  })

  it.each([
    [['manifest'], 'manifest: expected a path'],
    [['verify', 'a', 'b'], `verify: expected one path, found 'b' too`],
    [['shard', FIXTURE, '--rows', 'many'], `shard: --rows: expected a whole number, found 'many'`],
    [['wal', FIXTURE, '--fast'], '--fast'],
    [['wal', FIXTURE, '--replay-to', '5'], '--replay-to: expected --table NAME'],
    [['wal', FIXTURE, '--table', 'people', '--replay-to', '2026-01-31'], `a time like 2026-01-31T12:00:00Z, found`],
    [['wal', FIXTURE, '--table', 'people', '--replay-to', '2026-02-30T25:00:00Z'], '2026-02-30T25:00:00Z'],
  ])('%j is refused', async (args, message) => {
    const { code, out, err } = await run(...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  })

  it.each(names)('%s says that a directory is missing, or is not one of gnitz', async name => {
    const missing = join(root, 'missing')
    expect(await run(name, missing)).toMatchObject({ code: 1, err: `gnitz: ${missing}: no such file or directory\n` })
    const { code, out, err } = await run(name, root)
    expect(code).toBe(1)
    expect(out + err).toMatch(/MANIFEST/)
  })

  it('change nothing', async () => {
    const directory = copy()
    const state = () => readdirSync(directory).map(name => [name, readFileSync(join(directory, name), 'hex')])
    const before = state()
    for (const name of names) expect((await run(name, directory)).code).toBe(0)
    expect(state()).toEqual(before)
  })
})

it('manifest shows tables and shards', async () => {
  const { code, out } = await run('manifest', FIXTURE)
  expect(code).toBe(0)
  expect(out).toContain('generation 5, checkpoint at transaction 3')
  expect(out).toContain('columns  page string, at timestamp, late bool')
  expect(out).toContain('page (hash, 128 bits), then page, at desc, late')
  expect(out).toMatch(/shard-0000000000000001\.gnz +0 +3 +464 +1 +3 +1 … 3\n/)
  const [value] = await json<{ tables: { shards: object[] }[] }>('manifest', FIXTURE, '--table', 'people')
  expect(value).toMatchObject({ generation: '5', tables: [{ tableId: 1, schemaHash: '0x99aea395dc438a1f' }] })
  expect(value.tables[0].shards).toMatchObject([{ rowCount: 3, minKey: '1', maxKey: '3' }, { minLsn: '3' }])
  expect(await run('manifest', FIXTURE, '--table', 'cats')).toMatchObject({
    code: 1,
    err: expect.stringContaining('expected a table named "cats", found: people, visits'),
  })
})

describe('an encrypted directory', () => {
  const sealed = join(dirname(FIXTURE), 'directory-4')
  afterEach(() => vi.unstubAllEnvs())

  it('is shown without its key as far as that goes', async () => {
    const { out, code } = await run('manifest', sealed)
    expect(code).toBe(0)
    expect(out).toContain('vlog-0000000000000001.gnv  28,672  24,576  86 %')
    expect(out).toContain('files may be encrypted with key 1\n')
    const shard = (await run('shard', sealed)).out
    expect(shard).toContain(', encrypted with key 1\n12,288 bytes in vlog-0000000000000001.gnv\n')
    expect(shard).toContain('rows are encrypted with key 1: give it in GNITZ_KEYS\n')
    expect(await run('verify', sealed)).toMatchObject({ code: 0, out: expect.stringContaining('no fault') })
    const wal = await run('wal', sealed)
    expect(wal).toMatchObject({
      code: 1,
      err: expect.stringContaining('it is encrypted with key 1, which was not given'),
    })
  })

  it('is shown with its key', async () => {
    vi.stubEnv('GNITZ_KEYS', `1:${'01'.repeat(32)}`)
    expect((await run('shard', sealed)).out).toContain('+2 (3, "My dear Cassandra, I have now attained')
    expect((await run('wal', sealed)).out).toContain('+1 (5, "My dear Cassandra')
    expect((await run('verify', sealed)).out).toContain('1 value log (6 values, ')
    vi.stubEnv('GNITZ_KEYS', `1:${'02'.repeat(32)}`)
    expect(await run('shard', sealed)).toMatchObject({ code: 1, err: expect.stringContaining('key 1 is not the one') })
    vi.stubEnv('GNITZ_KEYS', 'secret')
    const { err } = await run('shard', sealed)
    expect(err).toContain('GNITZ_KEYS: expected ID:KEY, a number and 64 hexadecimal digits')
    expect(err).not.toContain('secret')
  })
})

it('shard shows regions and rows', async () => {
  const { out } = await run('shard', join(FIXTURE, SHARD), '--rows', '2')
  expect(out).toContain('+1 ("/a page with a long name", 2001-02-03T04:07:06, true)\n')
  expect(out).toContain('+2 ("/", 2001-02-03T04:06:06, false)\n  … 1 row more\n')
  expect(out).toMatch(/C2 +at +448 +24 +0x/)
  const lines = await json<{ row?: object; regions?: object[] }>('shard', FIXTURE, '--table', 'people')
  expect(lines.filter(l => l.regions !== undefined)).toHaveLength(2)
  expect(lines.filter(l => l.row !== undefined)).toMatchObject([
    { weight: '1', row: { id: '1', name: 'ann' } },
    { weight: '1', row: { id: '2', name: 'Charlotte Bronte' } },
    { weight: '1', row: { id: '3', name: null } },
    { weight: '-1', row: { id: '3', name: null } },
    { weight: '1', row: { id: '3', name: 'Émile' } },
  ])
  const directory = copy()
  renameSync(join(directory, SHARD), join(directory, 'other.gnz'))
  expect((await run('shard', join(directory, 'other.gnz'))).out).toContain('table 2 visits, not in the manifest')
})

describe('wal', () => {
  const rows = async (...args: string[]) => await json<{ lsn: string; parts: object[] }>('wal', ...args)

  it('shows transactions, of a directory or a file, from one to another', async () => {
    const { out } = await run('wal', FIXTURE)
    expect(out).toContain(`transaction 4: ${join(FIXTURE, LOG)}, byte 0, 309 bytes\n  people: 2 rows\n`)
    expect(out).toContain('    +1 (1, "Ann Veronica Stanley")\n    -1 (1, "ann")\n')
    expect((await rows(FIXTURE)).map(t => t.lsn)).toEqual(['4', '5', '6'])
    expect((await rows(join(FIXTURE, LOG))).map(t => t.lsn)).toEqual(['4', '5', '6'])
    expect((await rows(FIXTURE, '--after', '4', '--until', '5')).map(t => t.lsn)).toEqual(['5'])
    const [first] = await rows(FIXTURE, '--table', 'visits', '--rows', '1')
    expect(first.parts).toMatchObject([{ table: 'visits', rowCount: 1, rows: [{ row: { page: '/about' } }] }])
  })

  it('shows blocks, sound or not', async () => {
    const { code, out } = await run('wal', FIXTURE, '--blocks')
    expect(code).toBe(0)
    expect(out).toMatch(/ 0 +96 +4 +note +0 +64 +0x\w+ +more synced +after 3; rows of people of 40 bytes/)
    const directory = copy()
    flip(join(directory, LOG), 320)
    const damaged = await run('wal', directory, '--blocks')
    expect(damaged.code).toBe(1)
    expect(damaged.out).toMatch(/309 +72 .*no block: no valid block header/)
  })

  it('replays a table up to a transaction', async () => {
    const at = async (lsn: string) => (await run('wal', FIXTURE, '--table', 'people', '--replay-to', lsn)).out
    expect(await at('3')).toBe('+1 (1, "ann")\n+1 (2, "Charlotte Bronte")\n+1 (3, "Émile")\n')
    const later = '+1 (1, "Ann Veronica Stanley")\n+1 (2, "Charlotte Bronte")\n+1 (3, "Émile")\n'
    expect(await at('4')).toBe(later)
    expect(await at('6')).toBe(`${later}+1 (258, NULL)\n`)
    const values = await json<object>('wal', FIXTURE, '--table', 'people', '--replay-to', '5', '--rows', '1')
    expect(values).toEqual([{ weight: '1', row: { id: '1', name: 'Ann Veronica Stanley' } }])
    const fails = async (lsn: string) => (await run('wal', FIXTURE, '--table', 'people', '--replay-to', lsn)).err
    expect(await fails('2')).toContain('up to 3 are in its shards already')
    expect(await fails('7')).toContain('the last transaction is 6; there is no 7 yet')
  })

  it('replays a table up to a time', async () => {
    const directory = join(root, 'timed')
    const env = new NodeEnv()
    const start = Date.UTC(2026, 0, 31, 12)
    let now = start
    env.now = () => now
    const storage = await Storage.open({ env, directory, kernelsOf })
    const table = storage.createTable(plain)
    await put(storage, 1, 1)
    storage.checkpoint()
    for (const [minute, n] of [
      [1, 2],
      [2, 3],
      [2, 4],
      [9, 5],
    ]) {
      now = start + minute * 60_000
      await put(storage, n, 1)
    }
    const at = (time: string) => run('wal', directory, '--table', table.name, '--replay-to', time)
    const rows = async (time: string) => (await at(time)).out.trimEnd().split('\n').length
    expect(await rows('2026-01-31T12:01:00Z')).toBe(2)
    expect(await rows('2026-01-31T13:02:59.999999+01:00')).toBe(4)
    expect(await rows('2026-01-31T12:09Z')).toBe(5)
    expect(await rows('2027-01-01T00:00:00Z')).toBe(5)
    expect((await at('2026-01-31T12:00:59.999999Z')).err).toContain('is 2, of 2026-01-31T12:01:00.000Z; before it')
    expect((await run('wal', directory)).out).toContain('transaction 2, 2026-01-31T12:01:00.000Z: ')
    storage.checkpoint()
    expect((await at('2026-01-31T12:09Z')).err).toContain('everything up to transaction 5 is in shards')
    await storage.close()
    const first = await run('wal', FIXTURE, '--table', 'people', '--replay-to', '2026-01-31T12:09Z')
    expect(first.err).toContain('transaction 4 has no time; name a transaction')
  })

  it('follows a log that another process writes, until Ctrl-C', async () => {
    const directory = join(root, 'followed')
    const storage = await openPlain(directory)
    storage.createTable(plain)
    await put(storage, 1, 2)
    const child = spawn(process.execPath, command('wal', directory, '--follow', '--json'))
    let out = ''
    const code = await new Promise(resolve => {
      child.on('close', resolve)
      child.stdout.on('data', part => {
        const seen = out.split('\n').length
        out += part
        if (seen === 1) void put(storage, 3, 1)
        else child.kill('SIGINT')
      })
    })
    await storage.close()
    const lines = out.trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line).lsn)).toEqual(['1', '2'])
    expect(code).toBe(0)
  }, 60_000)
})

describe('verify', () => {
  it('finds nothing wrong with a sound directory', async () => {
    const { code, out } = await run('verify', FIXTURE)
    expect(out).toContain('checked 2 tables, 4 shards (9 rows, 2.1 kB), 1 segment of log (6 blocks')
    expect(out).toMatch(/\nno fault\n$/)
    expect(code).toBe(0)
    expect(await json('verify', FIXTURE)).toMatchObject([{ ok: true, faults: [], notes: [], lsn: '6' }])
  })

  it('says where a fault is', async () => {
    const directory = copy()
    flip(join(directory, SHARD), 450)
    const { code, out } = await run('verify', directory)
    const problem = 'region C2 (column "at"): checksum: expected'
    expect(out).toContain(`fault: ${join(directory, SHARD)}, byte 448: ${problem}`)
    expect(code).toBe(1)
    const failed = await run('verify', directory, '--json')
    expect(failed.code).toBe(1)
    expect(JSON.parse(failed.out)).toMatchObject({ ok: false, faults: [{ offset: 448 }], shards: { count: 3 } })
  })

  it('finds any byte that is changed', async () => {
    const directory = copy()
    const size = readFileSync(join(FIXTURE, LOG)).length
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      const original = readFileSync(path)
      for (let at = 3; at < original.length; at += 29) {
        flip(path, at)
        const { faults, notes } = await verifyDirectory({ env: new NodeEnv(), directory, kernelsOf })
        // Of the log's last block, a mark that says nothing, nobody can tell whether it was ever written.
        const findings = name === LOG && at >= size - 64 ? notes : faults
        expect(findings.map(f => f.file)).toContain(path)
        writeFileSync(path, original)
      }
    }
  })

  it('recomputes hashed keys, in shards and in the log', async () => {
    const directory = join(root, 'hashed')
    const schema = schemaOf('words', 'word:string', 'n:u16', 'at:f64?', 'big:u128', 'on:bool')
    const storage = await Storage.open({ env: new NodeEnv(), directory, kernelsOf })
    const table = storage.createTable(arrangedLayout(schema, [0, 1, 2, 3, 4]))
    const commit = async (n: number, wrong: boolean) => {
      const row = (word: string) => ({ row: [word, n, n % 2 ? null : n / 2, BigInt(n) << 80n, true], weight: 1n })
      const delta = runOf(table.layout, [row('short'), row('a word that is longer than a cell')])
      if (wrong) delta.keys32[0] ^= 1
      await storage.commit([{ table, delta }]).durable
    }
    const faults = async () => (await verifyDirectory({ env: new NodeEnv(), directory, kernelsOf })).faults
    for (let n = 1; n < 4; n++) await commit(n, false)
    storage.checkpoint()
    await commit(4, false)
    expect(await faults()).toEqual([])
    await commit(5, true)
    const problem = 'row 0: expected the hash of the key columns, found another key'
    expect(await faults()).toMatchObject([{ problem: `table 1, ${problem}` }])
    storage.checkpoint()
    const found = await faults()
    expect(found.length).toBe(1)
    expect(found[0].problem).toMatch(/region PK \(keys\), row \d+: expected the hash of the key columns/)
    await storage.close()
  })

  it.each([
    ['MANIFEST is lost', (d: string) => rmSync(join(d, 'MANIFEST')), 'MANIFEST: it is missing'],
    ['a shard is lost', (d: string) => rmSync(join(d, SHARD)), `${SHARD}: cannot open`],
    ['a shard is empty', (d: string) => writeFileSync(join(d, SHARD), ''), `${SHARD}, byte 0`],
    [
      'a shard is another one',
      (d: string) => cpSync(join(d, SHARD), join(d, 'shard-0000000000000004.gnz')),
      'byte 576',
    ],
    ['a log has another name', (d: string) => renameSync(join(d, LOG), join(d, LOG.replace('4', '5'))), 'byte 0'],
    ['a log begins late', (d: string) => dropFirst(join(d, LOG)), 'no valid block header'],
  ])('finds that %s', async (_, damage, message) => {
    const directory = copy()
    damage(directory)
    const { code, out } = await run('verify', directory)
    expect(out).toContain(message)
    expect(code).toBe(1)
  })

  it('notes what a crash has left', async () => {
    const directory = copy()
    writeFileSync(join(directory, 'shard-0000000000000009.gnz'), 'half')
    writeFileSync(join(directory, 'MANIFEST.swap'), '')
    writeFileSync(join(directory, 'notes.txt'), '')
    const log = readFileSync(join(directory, LOG))
    writeFileSync(join(directory, LOG), log.subarray(0, 400))
    const { code, out } = await run('verify', directory)
    expect(out).toContain('shard-0000000000000009.gnz: not in the manifest')
    expect(out).toContain('MANIFEST.swap: not in the manifest')
    expect(out).toContain('notes.txt: this is no file of gnitz')
    expect(out).toContain(`${LOG}, byte 381: ends too early: a write is under way`)
    expect(out).toContain('last transaction 5')
    expect(code).toBe(0)
  })

  it('begins anew when a writer has replaced what it was to look at', async () => {
    const directory = join(root, 'written')
    const storage = await openPlain(directory)
    storage.createTable(plain)
    // So few rows that nothing is merged yet.
    for (let n = 0; n < 5; n++) {
      await put(storage, n, 20)
      storage.checkpoint()
    }
    const env = new (class extends NodeEnv {
      replaced = 0
      override map(path: string): MappedFile | null {
        if (path.endsWith('.gnz') && this.replaced++ === 1) {
          storage.compact()
          storage.checkpoint()
        }
        return super.map(path)
      }
    })()
    const found = await verifyDirectory({ env, directory, kernelsOf })
    expect(env.replaced).toBeGreaterThan(2)
    expect(found).toMatchObject({ faults: [], lsn: 5n, shards: { count: 1 } })
    await storage.close()
  })
})

function dropFirst(path: string): void {
  writeFileSync(path, readFileSync(path).subarray(1))
}

it('amplification draws how many shards overlap', async () => {
  const { out } = await run('amplification', FIXTURE, '--threshold', '1')
  expect(out).toContain('people: 2 shards, at most 2 on one key, above the threshold of 1\n')
  expect(out).toMatch(/ {2}1 +2 +█ 1\n {2}3 +██ 2 !\n/)
  const [value] = await json('amplification', FIXTURE)
  expect(value).toMatchObject({
    tables: [{ amplification: 2, ranges: [{ from: '1', to: '2', depth: 1 }, { depth: 2 }] }, { amplification: 1 }],
  })
})

it('ends quietly when nobody reads on', async () => {
  const directory = join(root, 'long')
  const storage = await openPlain(directory)
  storage.createTable(plain)
  await put(storage, 0, 30_000)
  await storage.close()
  const line = `"${process.execPath}" ${command('shard', directory, '--rows', '99999').join(' ')} | head -n 1`
  const { out, err } = await new Promise<{ out: string; err: string }>(resolve => {
    execFile('/bin/sh', ['-c', line], { cwd: project }, (_, out, err) => resolve({ out, err }))
  })
  expect(err).toBe('')
  expect(out.split('\n')).toHaveLength(2)
}, 60_000)
