import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lifeLeft, stagesPassed } from '../../../../plugins/keylime/tls-files/certificate-life.ts'

const moment = fc.integer({ min: 0, max: 4e12 })

describe('lifeLeft', () => {
  it('is a share, falls as time passes, and is whole before the beginning and nothing after the end', () => {
    fc.assert(
      fc.property(moment, moment, moment, moment, (from, to, now, later) => {
        const life = { notBefore: new Date(from), notAfter: new Date(to) }
        const [first, then] = [lifeLeft(life, Math.min(now, later)), lifeLeft(life, Math.max(now, later))]
        expect(first).toBeGreaterThanOrEqual(then)
        expect([first, then].every((share) => share >= 0 && share <= 1)).toBe(true)
        expect([lifeLeft(life, from), lifeLeft(life, to)]).toEqual([to > from ? 1 : 0, 0])
      }),
    )
  })
})

describe('stagesPassed', () => {
  it.each([
    [1, 0],
    [0.34, 0],
    [1 / 3, 1],
    [0.11, 1],
    [0.1, 2],
    [0.001, 2],
    [0, 3],
  ])('of %d left counts %d', (left, stages) => {
    expect(stagesPassed(left)).toBe(stages)
  })
})
