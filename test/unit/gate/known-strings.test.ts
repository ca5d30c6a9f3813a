import { describe, expect, it } from 'vitest'
import { explain, KNOWN_STRINGS } from '../../../plugins/gate/known-strings.ts'

describe('explain', () => {
  it.each(KNOWN_STRINGS.map(({ text }) => text))('recognises %s', (text) => {
    expect(explain(`something said: ${text.replace('...', 'abc')} (and more)`)?.text).toBe(text)
  })

  it('says nothing of what it does not know, and reads no endless text', () => {
    expect(explain('everything is fine')).toBeUndefined()
    expect(explain(`${'x'.repeat(1_000_000)} agent id not found`)).toBeUndefined()
  })
})
