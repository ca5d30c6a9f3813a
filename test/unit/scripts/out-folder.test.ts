import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { emptyFolder, RELEASE_FILES } from '../../../scripts/release/out-folder.ts'

const work = mkdtempSync(join(tmpdir(), 'tower-out-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

describe('emptyFolder', () => {
  it('removes what an earlier release left, and makes what is missing [release:out:spared]', () => {
    const folder = join(work, 'dist')
    mkdirSync(join(folder, 'npm', 'inner'), { recursive: true })
    const names = [
      'keylime-attestor-server',
      'keylime-attestor-agent-arm64',
      'towerkeep.cjs',
      'bundle-publisher-keeper-x64',
      'key-manager-tpm.cjs',
      'tower-of-omens_0.1.0_amd64.oci.tar',
      'tower-of-omens_0.1.0_amd64.oci.SHA256SUMS',
      'tower-of-omens_0.1.0_amd64.deb',
      'tower-of-omens-go-plugin-0.1.0.tgz',
      'LICENSES.txt',
      'SHA256SUMS',
      'sbom.cdx.json',
      'bundled-modules.json',
    ]
    for (const name of names) writeFileSync(join(folder, name), '')
    emptyFolder(folder, RELEASE_FILES)
    expect(readdirSync(folder)).toEqual([])
    emptyFolder(join(work, 'new', 'deeper'), RELEASE_FILES)
    expect(existsSync(join(work, 'new', 'deeper'))).toBe(true)
  })

  it('removes nothing from a folder that holds anything else [release:out:spared]', () => {
    const folder = join(work, 'home')
    mkdirSync(join(folder, 'documents'), { recursive: true })
    writeFileSync(join(folder, 'SHA256SUMS'), '')
    expect(() => emptyFolder(folder, RELEASE_FILES)).toThrow(
      `${folder} holds documents, which no build made: name a folder that is new, empty or of an earlier build`,
    )
    expect(readdirSync(folder)).toEqual(['SHA256SUMS', 'documents'])
  })
})
