import { describe, expect, it } from 'vitest'
import { fillSections } from '../../../scripts/docs/fill-sections.ts'

const sections = { keys: () => '| a |\n' }
const page = (inner: string) => `before\n<!-- generated:keys -->\n${inner}<!-- end -->\nafter\n`

describe('fillSections', () => {
  it('replaces what stands between the markers and nothing else, and changes a current page no further', () => {
    const filled = fillSections(page('old\n'), sections, 'page.md')
    expect(filled).toBe(page('| a |\n'))
    expect(fillSections(filled, sections, 'page.md')).toBe(filled)
    expect(fillSections(page(''), sections, 'page.md')).toBe(filled)
  })

  it('stops at a key that nothing generates and at a marker without an end', () => {
    expect(() => fillSections(page('').replace('keys', 'other'), sections, 'page.md')).toThrow(
      'page.md: nothing generates the section "other"',
    )
    expect(() => fillSections('<!-- generated:keys -->\n', sections, 'page.md')).toThrow(
      'page.md: a generated section has no <!-- end -->',
    )
  })
})
