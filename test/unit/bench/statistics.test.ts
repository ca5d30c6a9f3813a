import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { percentile, ratioOf, spreadOf } from '../../bench/statistics.ts'

describe('spreadOf', () => {
  it('gives minimum, median and maximum in any order', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 })
    expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 })
    expect(spreadOf([])).toEqual({ min: 0, median: 0, max: 0 })
  })

  it('keeps the median between the extremes', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 }), (values) => {
        const { min, median, max } = spreadOf(values)
        expect(median).toBeGreaterThanOrEqual(min)
        expect(median).toBeLessThanOrEqual(max)
      }),
    )
  })
})

describe('percentile', () => {
  it('takes the nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([0, 50, 90, 99, 100].map((percent) => percentile(hundred, percent))).toEqual([1, 50, 90, 99, 100])
    expect(percentile([7], 99)).toBe(7)
  })
})

describe('ratioOf', () => {
  it('divides round by round and leaves out rounds that one side lacks', () => {
    expect(ratioOf([1, 2, 3], [2, 8])).toEqual({ min: 0.25, median: 0.375, max: 0.5 })
    expect(ratioOf([1], [0])).toEqual({ min: 0, median: 0, max: 0 })
  })
})
