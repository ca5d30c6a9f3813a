import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cut, excerpt, nameInOneLine, oneLine } from '../../../../plugins/keylime/basis/printable.ts'

describe('text of strangers', () => {
  it('is one line without control characters, and bounded, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
        for (const [fit, most] of [
          [oneLine, 1_000],
          [excerpt, 163],
          [nameInOneLine, 203],
        ] as const) {
          const line = fit(text)
          expect(line.length).toBeLessThanOrEqual(most)
          expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
        }
      }),
    )
  })

  it('shows that it was cut', () => {
    expect([cut('abcd', 4), cut('abcde', 4)]).toEqual(['abcd', 'abcd...'])
  })
})

describe('oneLine', () => {
  it('bounds a text', () => {
    expect(oneLine('x'.repeat(2_000))).toHaveLength(1_000)
  })

  it('leaves nothing in it that breaks a line or turns the direction of writing', () => {
    expect(oneLine('a\r\n\u0000b\u202E\u2066c\u200Bd\u2029é')).toBe('a b c d é')
  })
})
