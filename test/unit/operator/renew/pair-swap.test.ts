import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { swapPair } from '../../../../operator/renew/pair-swap.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swap-'))
})
afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true, force: true })
})

const files = (at = folder) => ({ certFile: join(at, 'agent.crt'), keyFile: join(at, 'agent.key') })
const first = { certMode: 0o644, keyMode: 0o600 }
const read = ({ certFile, keyFile }: ReturnType<typeof files>): string[] =>
  [certFile, keyFile].map((file) => readFileSync(file, 'utf8'))
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)

const link = (): string => join(folder, 'agent')

/** Swaps in a process whose files may have so many blocks, and tells the code of its error. */
function swapOnDiskOf(blocks: number, chain: string): string {
  const swap = join(import.meta.dirname, '../../../../operator/renew/pair-swap.ts')
  const script = `import { swapPair } from ${JSON.stringify(swap)}
    try { swapPair(${JSON.stringify({ chain, key: 'a key' })}, ${JSON.stringify(files())}, ${JSON.stringify(first)}) }
    catch (error) { process.stdout.write(error.code) }`
  const words = [
    '-c',
    `ulimit -f ${blocks}; exec "$@"`,
    'sh',
    process.execPath,
    '--input-type=module',
    '--eval',
    script,
  ]
  return execFileSync('/bin/sh', words, { encoding: 'utf8' })
}

describe('a pair of plain files', () => {
  it('is put in place with the modes given when there was none, and removed on the way back', () => {
    const swapped = swapPair({ chain: 'cert 1', key: 'key 1' }, files(), first)
    expect(read(files())).toEqual(['cert 1', 'key 1'])
    expect([mode(files().certFile), mode(files().keyFile)]).toEqual(['644', '600'])
    expect(readdirSync(folder).toSorted()).toEqual(['agent.crt', 'agent.key'])
    swapped.back()
    expect(readdirSync(folder)).toEqual([])
  })

  it('keeps owner and mode of the files before, and comes back as it was [P20]', () => {
    writeFileSync(files().certFile, 'cert 1')
    writeFileSync(files().keyFile, 'key 1')
    chmodSync(files().keyFile, 0o640)
    if (process.getuid?.() === 0) execFileSync('chown', ['33:34', files().keyFile])
    const { uid, gid, ino } = statSync(files().keyFile)
    const swapped = swapPair({ chain: 'cert 2', key: 'key 2' }, files(), first)
    expect(read(files())).toEqual(['cert 2', 'key 2'])
    const now = statSync(files().keyFile)
    expect([mode(files().keyFile), now.uid, now.gid]).toEqual(['640', uid, gid])
    expect(now.ino).not.toBe(ino)
    swapped.back()
    expect(read(files())).toEqual(['cert 1', 'key 1'])
    expect(statSync(files().keyFile).ino).toBe(ino)
  })

  it('changes nothing when one of them cannot be written', () => {
    writeFileSync(files().certFile, 'cert 1')
    const split = { certFile: files().certFile, keyFile: join(folder, 'no', 'agent.key') }
    expect(() => swapPair({ chain: 'cert 2', key: 'key 2' }, split, first)).toThrow('ENOENT')
    expect(readFileSync(files().certFile, 'utf8')).toBe('cert 1')
    expect(readdirSync(folder)).toEqual(['agent.crt'])
  })

  it('changes nothing on a full disk, though the pair before the present one is kept beside it', () => {
    swapPair({ chain: 'cert 1', key: 'key 1' }, files(), first)
    swapPair({ chain: 'cert 2', key: 'key 2' }, files(), first)
    expect(swapOnDiskOf(0, 'cert 3')).toBe('EFBIG')
    expect(read(files())).toEqual(['cert 2', 'key 2'])
  })

  it('is written whole or not at all when the disk ends within it', () => {
    swapPair({ chain: 'cert 1', key: 'key 1' }, files(), first)
    expect(swapOnDiskOf(8, 'c'.repeat(50_000))).toBe('EFBIG')
    expect(read(files())).toEqual(['cert 1', 'key 1'])
  })
})

describe('a pair behind a generation link', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'gen', '0041'), { recursive: true })
    mkdirSync(join(folder, 'gen', '0042'), { mode: 0o750 })
    symlinkSync('gen/0042', link())
    writeFileSync(files(link()).certFile, 'cert 42')
    writeFileSync(files(link()).keyFile, 'key 42')
    chmodSync(files(link()).keyFile, 0o640)
  })

  it('is swapped by one rename, and back', () => {
    const swapped = swapPair({ chain: 'cert 43', key: 'key 43' }, files(link()), first)
    expect(readlinkSync(link())).toBe('gen/0043')
    expect(read(files(link()))).toEqual(['cert 43', 'key 43'])
    expect([mode(files(link()).keyFile), mode(join(folder, 'gen', '0043'))]).toEqual(['640', '750'])
    swapped.back()
    expect(readlinkSync(link())).toBe('gen/0042')
    expect(read(files(link()))).toEqual(['cert 42', 'key 42'])
  })

  it('keeps five generations', () => {
    for (let round = 0; round < 7; round += 1) swapPair({ chain: `cert ${round}`, key: 'key' }, files(link()), first)
    expect(readdirSync(join(folder, 'gen')).toSorted()).toEqual(['0045', '0046', '0047', '0048', '0049'])
    expect(readlinkSync(link())).toBe('gen/0049')
    expect(existsSync(join(folder, 'agent.new'))).toBe(false)
  })
})
