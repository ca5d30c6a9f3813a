import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CODE_CACHE, PACKER, PROGRAM, SCRIPT } from '../../../../plugins/go-plugin/bundle/packed-program.ts'

const CODE = "module.exports = () => 'gr\u00fc\u00dfe'\n"

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'packed-program-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  writeFileSync(join(path, SCRIPT), CODE)
  writeFileSync(join(path, 'packer.cjs'), PACKER)
  return path
}

describe('the packer', () => {
  it('writes the program and its code cache, the same bytes each time [pkg:bundle:reproducible]', () => {
    const [first, second] = [folder(), folder()]
    for (const cwd of [first, second])
      execFileSync(process.execPath, ['--predictable', 'packer.cjs', 'with-cache'], { cwd })
    expect(zstdDecompressSync(readFileSync(join(first, PROGRAM))).toString()).toBe(CODE)
    expect(zstdDecompressSync(readFileSync(join(first, CODE_CACHE))).length).toBeGreaterThan(100)
    for (const name of [PROGRAM, CODE_CACHE]) {
      expect(readFileSync(join(second, name)).equals(readFileSync(join(first, name)))).toBe(true)
    }
  })

  it('writes no cache for another processor', () => {
    const cwd = folder()
    execFileSync(process.execPath, ['packer.cjs'], { cwd })
    expect([existsSync(join(cwd, PROGRAM)), existsSync(join(cwd, CODE_CACHE))]).toEqual([true, false])
  })

  it('ends with the reason where the program does not compile', () => {
    const cwd = folder()
    writeFileSync(join(cwd, SCRIPT), 'this is no program')
    const { status, stderr } = spawnSync(process.execPath, ['packer.cjs', 'with-cache'], { cwd, encoding: 'utf8' })
    expect([status, stderr]).toEqual([1, expect.stringContaining('SyntaxError')])
  })
})
