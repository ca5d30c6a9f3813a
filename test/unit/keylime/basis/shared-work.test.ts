import { describe, expect, it } from 'vitest'
import { newFailure } from '../../../../plugins/keylime/basis/failures.ts'
import { SharedWork } from '../../../../plugins/keylime/basis/shared-work.ts'

interface Begun {
  readonly signal: AbortSignal
  readonly close: () => void
  readonly resolve: (value: string) => void
  readonly reject: (error: Error) => void
}

/** Work that ends when the test says so. */
function shared() {
  const begun: Begun[] = []
  const work = new SharedWork<string>((signal, close) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    begun.push({ signal, close, resolve, reject })
    return promise
  })
  const nth = (n: number): Begun => {
    const one = begun[n]
    if (one === undefined) throw new Error(`work ${n} has not begun`)
    return one
  }
  return { work, begun, nth }
}

const outcomes = async (all: readonly Promise<string>[]): Promise<readonly string[]> =>
  (await Promise.allSettled(all)).map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message))

describe('SharedWork', () => {
  it('is done once for all who ask while it is under way', async () => {
    const { work, begun, nth } = shared()
    const all = [work.join(), work.join(), work.join()]
    nth(0).resolve('2.6')
    expect(await outcomes(all)).toEqual(['2.6', '2.6', '2.6'])
    expect(begun).toHaveLength(1)
    void work.join()
    expect(begun).toHaveLength(2)
  })

  it('fails only for the one who began it; those who waited ask again [claims:fate:one-request]', async () => {
    const { work, begun, nth } = shared()
    const all = [work.join(), work.join(), work.join()]
    nth(0).reject(newFailure('server-error', 'failed with 500'))
    await expect.poll(() => begun.length).toBe(2)
    nth(1).resolve('2.6')
    expect(await outcomes(all)).toEqual(['failed with 500', '2.6', '2.6'])
    expect(begun).toHaveLength(2)
  })

  it('fails for all at once when the service cannot be reached', async () => {
    const { work, begun, nth } = shared()
    const all = [work.join(), work.join()]
    nth(0).reject(newFailure('refused', 'refused'))
    expect(await outcomes(all)).toEqual(['refused', 'refused'])
    expect(begun).toHaveLength(1)
  })

  it('is waited for once more after a timeout, and not again and again', async () => {
    const { work, begun, nth } = shared()
    const all = Array.from({ length: 4 }, () => work.join())
    for (const round of [0, 1]) {
      await expect.poll(() => begun.length).toBe(round + 1)
      nth(round).reject(newFailure('timeout', `late ${round}`, { facts: { connected: true } }))
    }
    expect(await outcomes(all)).toEqual(['late 0', 'late 1', 'late 1', 'late 1'])
  })

  it('ends when the last who waits has gone, and not before [claims:fate:last-one-out]', async () => {
    const { work, begun, nth } = shared()
    const [one, two] = [new AbortController(), new AbortController()]
    const all = outcomes([work.join(one.signal), work.join(two.signal)])
    one.abort(new Error('first has gone'))
    await Promise.resolve()
    expect(nth(0).signal.aborted).toBe(false)
    two.abort(new Error('second has gone'))
    expect(await all).toEqual(['first has gone', 'second has gone'])
    expect(nth(0).signal.aborted).toBe(true)
    void work.join()
    expect(begun).toHaveLength(2)
  })

  it('is not joined once it says that it has begun', async () => {
    const { work, begun, nth } = shared()
    const first = work.join()
    nth(0).close()
    const second = work.join()
    expect(begun).toHaveLength(2)
    nth(0).resolve('old')
    nth(1).resolve('new')
    expect(await outcomes([first, second])).toEqual(['old', 'new'])
  })
})
