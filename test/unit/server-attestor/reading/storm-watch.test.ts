import { describe, expect, it } from 'vitest'
import { StormWatch } from '../../../../server-attestor/reading/storm-watch.ts'

function afterArrivals(count: number, everyMs: number): { readonly watch: StormWatch; readonly now: number } {
  const watch = new StormWatch()
  for (let index = 0; index < count; index += 1) watch.asked(index * everyMs)
  return { watch, now: count * everyMs }
}

describe('StormWatch', () => {
  it('finds a bulk read worth more than about a sixth of the agents enrolled', () => {
    const { watch, now } = afterArrivals(0, 0)
    expect(watch.isWorthSharing(769, 5_000, now)).toBe(false)
    expect(watch.isWorthSharing(770, 5_000, now)).toBe(true)
    expect(watch.isWorthSharing(154, 1_000, now)).toBe(true)
  })

  it('never for a handful, and has the agents counted before it says so of more', () => {
    const { watch } = afterArrivals(0, 0)
    expect(watch.isWorthSharing(31, 10, 0)).toBe(false)
    expect(watch.isWorthSharing(31, undefined, 0)).toBe(false)
    expect(watch.isWorthSharing(32, undefined, 0)).toBe(true)
  })

  it('never where the answer would keep the verifier busy for longer than a request may take', () => {
    const { watch } = afterArrivals(0, 0)
    expect(watch.isWorthSharing(10_000, 10_000, 0)).toBe(true)
    expect(watch.isWorthSharing(10_001, 10_001, 0)).toBe(false)
  })

  it('sees a storm coming by the rate, once a quarter of the number waits', () => {
    const fast = afterArrivals(1_000, 1.4)
    expect(fast.watch.isWorthSharing(200, 5_000, fast.now)).toBe(true)
    expect(fast.watch.isWorthSharing(190, 5_000, fast.now)).toBe(false)
    expect(fast.watch.isWorthSharing(200, 5_000, fast.now + 2_000)).toBe(false)
    const calm = afterArrivals(1_000, 5)
    expect(calm.watch.isWorthSharing(200, 5_000, calm.now)).toBe(false)
  })

  it('puts a bulk read off while more come than single reads could serve, for one and a half times its own time at most [scale:storm:put-off]', () => {
    const fast = afterArrivals(500, 1.4)
    expect(fast.watch.isGrowing(fast.now)).toBe(true)
    // Its answer takes this process a tenth of a second, in which nobody is heard.
    expect(fast.watch.isGrowing(fast.now + 150)).toBe(true)
    expect(fast.watch.isGrowing(fast.now + 400)).toBe(false)
    const calm = afterArrivals(500, 5)
    expect(calm.watch.isGrowing(calm.now)).toBe(false)
    expect(calm.watch.longestGatheringMs(5_000)).toBe(3_000)
  })

  it('lets opinions go on first while they take longer than half of a bulk read', () => {
    const { watch } = afterArrivals(0, 0)
    expect(watch.isOutlastedBy(344, 5_000)).toBe(false)
    expect(watch.isOutlastedBy(345, 5_000)).toBe(true)
  })
})
