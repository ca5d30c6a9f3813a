import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { MAX_FILE_BYTES, readTextFile } from '../../../../plugins/keylime/tls-files/readable-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'tower-files-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
chmodSync(folder, 0o755)

// Root reads everything, so root steps down to `nobody` for the moment of the read.
const isRoot = process.geteuid?.() === 0
function readUnprivileged(path: string): ReturnType<typeof readTextFile> {
  if (!isRoot) return readTextFile(path)
  process.setegid?.(65_534)
  process.seteuid?.(65_534)
  try {
    return readTextFile(path)
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}

describe('readTextFile', () => {
  it('reads a file, also behind a link', () => {
    writeFileSync(join(folder, 'a.crt'), 'text', { mode: 0o644 })
    symlinkSync('a.crt', join(folder, 'link.crt'))
    expect(readTextFile(join(folder, 'link.crt'))).toEqual({ text: 'text', mode: 0o644 })
  })

  it('says which part of the path is missing [P20]', () => {
    expect(readTextFile(join(folder, 'none.key'))).toEqual({ problem: 'does not exist' })
    const inner = join(folder, 'no', 'such', 'a.key')
    expect(readTextFile(inner)).toEqual({ problem: `does not exist: there is no ${join(folder, 'no')}` })
  })

  it('says that a link leads nowhere, and that links go in a circle', () => {
    symlinkSync('gone', join(folder, 'dangling'))
    symlinkSync('loop', join(folder, 'loop'))
    expect(readTextFile(join(folder, 'dangling'))).toEqual({ problem: 'does not exist' })
    expect(readTextFile(join(folder, 'loop'))).toEqual({ problem: 'cannot be reached: its links go in a circle' })
  })

  it('says whose file it is, its mode and who we are [P20] [T29]', () => {
    const path = join(folder, 'secret.key')
    writeFileSync(path, 'key')
    chmodSync(path, isRoot ? 0o640 : 0o000)
    if (isRoot) chownSync(path, 0, 0)
    const read = readUnprivileged(path)
    const problem = 'problem' in read ? read.problem : ''
    const wanted = isRoot
      ? /^cannot be read: it belongs to root:root \(uid 0, gid 0\) with mode 0640; we run as nobody \(uid 65534\), group nogroup \(gid 65534\)/
      : /^cannot be read: it belongs to .* with mode 0000; we run as .* \(uid \d+\)/
    expect(problem).toMatch(wanted)
  })

  it('names the folder that does not let us in [P20]', () => {
    const closed = join(folder, 'closed')
    mkdirSync(closed, { mode: 0o700 })
    writeFileSync(join(closed, 'a.key'), 'key')
    if (!isRoot) chmodSync(closed, 0o000)
    const read = readUnprivileged(join(closed, 'a.key'))
    chmodSync(closed, 0o700)
    const problem = 'problem' in read ? read.problem : ''
    expect(problem).toContain('cannot be reached: folder ')
    expect(problem).toContain('does not let us in; we run as')
  })

  it.each([
    ['empty', '', 'is empty'],
    ['blank', ' \n\n', 'is empty'],
    ['huge', 'x'.repeat(MAX_FILE_BYTES + 1), `is ${MAX_FILE_BYTES + 1} bytes long, expected at most ${MAX_FILE_BYTES}`],
  ])('says that a file is %s', (name, content, problem) => {
    writeFileSync(join(folder, name), content)
    expect(readTextFile(join(folder, name))).toEqual({ problem })
  })

  it('says that there is a folder or a device', () => {
    expect(readTextFile(folder)).toEqual({ problem: 'is a folder, expected a file' })
    expect(readTextFile('/dev/null')).toEqual({ problem: 'is not a regular file' })
    expect(readTextFile(join(folder, 'a.crt', 'b'))).toEqual({
      problem: 'cannot be reached: a part of its path is not a folder',
    })
  })
})
