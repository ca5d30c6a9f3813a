import { describe, expect, it } from 'vitest'
import { changelogEntry, notesOf } from '../../../scripts/release/changelog.ts'

const CHANGELOG =
  '# Changelog\n\nWords.\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- A.\n\n## 0.1.0\n\n- B.\n'

describe('changelogEntry', () => {
  it('takes the entry of one version, without its heading [pkg:release:notes]', () => {
    expect(changelogEntry(CHANGELOG, '0.2.0')).toBe('### Added\n\n- A.')
    expect(changelogEntry(CHANGELOG, '0.1.0')).toBe('- B.')
  })

  it.each(['0.3.0', '0.2', 'Unreleased'])('refuses %s, for which nothing is written', (version) => {
    expect(() => changelogEntry(CHANGELOG, version)).toThrow(`CHANGELOG.md has no entry for ${version}`)
  })
})

describe('notesOf', () => {
  it('refuses a tag that is not of this version', () => {
    expect(() => notesOf('v99.0.0')).toThrow(/^the tag is v99\.0\.0, package\.json says \d+\.\d+\.\d+: expected v/)
  })
})
