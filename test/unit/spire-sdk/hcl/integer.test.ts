import { describe, expect, it } from 'vitest'
import { parseGoInteger } from '../../../../plugins/spire-sdk/hcl/integer.ts'

describe('parseGoInteger', () => {
  it.each([
    ['0', 0],
    ['-0', 0],
    ['00', 0],
    ['443', 443],
    ['+443', 443],
    ['-443', -443],
    ['017', 15],
    ['0o17', 15],
    ['0O17', 15],
    ['0_17', 15],
    ['0x1f', 31],
    ['0X1F', 31],
    ['0b101', 5],
    ['1_000', 1000],
    ['9007199254740991', 9_007_199_254_740_991],
  ])('reads %s', (text, number) => {
    expect(parseGoInteger(text)).toBe(number)
  })

  it.each(['', '-', '+', ' 1', '1 ', '08', '0x', '0b2', '_1', '1_', '1__0', '1.0', '1e3', '--1', '\u0661', '1\n'])(
    'does not take %j for a whole number',
    (text) => {
      expect(parseGoInteger(text)).toBeUndefined()
    },
  )

  it('does not round what is beyond 2^53', () => {
    expect(parseGoInteger('9007199254740992')).toBeUndefined()
    expect(parseGoInteger('9'.repeat(1000))).toBeUndefined()
  })
})
