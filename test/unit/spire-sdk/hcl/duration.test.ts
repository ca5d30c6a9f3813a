import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_DURATION_MS } from '../../../../plugins/spire-sdk/hcl/duration.ts'
import { formatDuration, parseDuration } from '../../../../plugins/spire-sdk/hcl/index.ts'

describe('parseDuration', () => {
  it.each([
    ['5s', 5000],
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1.s', 1000],
    ['1s1s', 2000],
    ['1000us', 1],
    ['1000\u00b5s', 1],
    ['1000000ns', 1],
    ['0.1s', 100],
    ['1.001s', 1001],
  ])('reads %s as Go does', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each([
    ['5', 'has no unit; write "5s" for seconds'],
    ['', 'is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['s', 'is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['5 s', 'is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['5sec', 'is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['1d', 'is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['5s ', 'is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['-5s', 'cannot be negative'],
    ['1ns', 'is finer than a millisecond'],
    ['1.5ms', 'is finer than a millisecond'],
    ['600h', 'is longer than 596h31m23s647ms'],
    [`${'9'.repeat(60)}h`, 'is longer than 596h31m23s647ms'],
    ['1s'.repeat(50), 'is too long for a duration'],
  ])('refuses %s', (text, message) => {
    expect(parseDuration(text)).toBe(message)
  })

  it('reads back what formatDuration writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })
})
