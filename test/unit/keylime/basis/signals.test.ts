import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  CallerGone,
  DeadlinePassed,
  sleep,
  untilAborted,
  withDeadline,
} from '../../../../plugins/keylime/basis/signals.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const never = new Promise<never>(() => undefined)

describe('withDeadline', () => {
  it('aborts its work when the time is over, and says that it was the time', async () => {
    const caller = new AbortController()
    const seen: boolean[] = []
    const work = withDeadline(caller.signal, 1_000, async (deadline) => {
      try {
        return await untilAborted(deadline.signal, never)
      } finally {
        seen.push(deadline.passed)
      }
    })
    work.catch(() => undefined)
    await vi.advanceTimersByTimeAsync(1_000)
    await expect(work).rejects.toThrow(DeadlinePassed)
    expect(seen).toEqual([true])
  })

  it('aborts its work when the caller goes, before or during it', async () => {
    const caller = new AbortController()
    const work = withDeadline(caller.signal, 1_000, ({ signal }) => untilAborted(signal, never))
    caller.abort()
    await expect(work).rejects.toThrow(CallerGone)
    await expect(withDeadline(caller.signal, 1_000, ({ signal }) => untilAborted(signal, never))).rejects.toThrow(
      CallerGone,
    )
  })

  it('leaves neither timer nor listener behind', async () => {
    const caller = new AbortController()
    expect(await withDeadline(caller.signal, 1_000, () => Promise.resolve(7))).toBe(7)
    expect([vi.getTimerCount(), getEventListeners(caller.signal, 'abort').length]).toEqual([0, 0])
  })
})

describe('untilAborted', () => {
  it('passes value and failure on, and leaves no listener', async () => {
    const { signal } = new AbortController()
    expect(await untilAborted(signal, Promise.resolve(1))).toBe(1)
    await expect(untilAborted(signal, Promise.reject(new Error('no')))).rejects.toThrow('no')
    await Promise.resolve()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('does not let what goes on behind an ended wait fail unheard', async () => {
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(untilAborted(gone, Promise.reject(new Error('later')))).rejects.toThrow('gone')
  })
})

describe('sleep', () => {
  it('wakes after its time, or at once when the signal aborts', async () => {
    const caller = new AbortController()
    const first = sleep(500, caller.signal)
    await vi.advanceTimersByTimeAsync(500)
    await first
    const second = sleep(500, caller.signal)
    caller.abort()
    await expect(second).rejects.toThrow(/abort/)
    await expect(sleep(500, caller.signal)).rejects.toThrow(/abort/)
    expect(vi.getTimerCount()).toBe(0)
  })
})
