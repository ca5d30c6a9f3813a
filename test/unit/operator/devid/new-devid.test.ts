import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { swapThree } from '../../../../operator/devid/new-devid.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'devid-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (name: string): string => join(folder, name)
const bytes = (text: string): Buffer => Buffer.from(text)
const IS_ROOT = process.getuid?.() === 0

describe('the files of a DevID', () => {
  it("stay those of SPIRE's own user, on the way there and back", () => {
    writeFileSync(at('priv'), 'old')
    chmodSync(at('priv'), 0o640)
    if (IS_ROOT) chownSync(at('priv'), 33, 34)
    const owned = (): readonly number[] => {
      const { uid, gid, mode } = statSync(at('priv'))
      return [uid, gid, mode & 0o777]
    }
    const before = owned()
    const swapped = swapThree([
      [at('pub'), bytes('new'), 0o644],
      [at('priv'), bytes('new'), 0o600],
    ])
    expect([readFileSync(at('priv'), 'utf8'), owned(), statSync(at('pub')).mode & 0o777]).toEqual([
      'new',
      before,
      0o644,
    ])
    swapped.back()
    expect([readFileSync(at('priv'), 'utf8'), owned()]).toEqual(['old', before])
    expect(() => statSync(at('pub'))).toThrow('ENOENT')
  })
})
