import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { fetchNode } from '../../../scripts/release/pinned-node.ts'

const work = mkdtempSync(join(tmpdir(), 'tower-pinned-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** Puts a package into the cache as an earlier run left it. */
function cached(version: string, content: string): string {
  mkdirSync(join(work, version, 'package', 'bin'), { recursive: true })
  writeFileSync(join(work, version, 'package', 'bin', 'node'), content)
  writeFileSync(join(work, version, 'package', 'LICENSE'), '')
  const archive = join(work, `node-of-tests-${version}.tgz`)
  execFileSync('tar', ['czf', archive, '-C', join(work, version), 'package'])
  return archive
}

const hashOf = (file: string): string => `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`

describe('fetchNode', () => {
  it('unpacks a cached package whose hash is right [release:node:hashed]', () => {
    const integrity = hashOf(cached('1.0.0', 'good'))
    const binary = fetchNode({ name: 'node-of-tests', version: '1.0.0', integrity }, work)
    expect(readFileSync(binary, 'utf8')).toBe('good')
    expect(fetchNode({ name: 'node-of-tests', version: '1.0.0', integrity }, work)).toBe(binary)
  })

  it('uses no cached package of another hash, and removes it [release:node:hashed]', () => {
    const archive = cached('2.0.0', 'good')
    const integrity = hashOf(archive)
    const changed = cached('2.0.0', 'evil')
    expect(() => fetchNode({ name: 'node-of-tests', version: '2.0.0', integrity }, work)).toThrow(
      `node-of-tests@2.0.0 in ${changed}: expected hash ${integrity}, found sha512-`,
    )
    expect(existsSync(changed)).toBe(false)
  })
})
