import { describe, expect, it } from 'vitest'
import { CallerQueue, Lanes } from '../../../../server-attestor/reading/lanes.ts'

const alive = new AbortController().signal
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Tasks that end when the test says so, in the order in which they began. */
function tasks() {
  const begun: string[] = []
  const ends: (() => void)[] = []
  const task = (name: string) => (): Promise<string> => {
    begun.push(name)
    const { promise, resolve } = Promise.withResolvers<string>()
    ends.push(() => resolve(name))
    return promise
  }
  const endAll = async (): Promise<void> => {
    await settled()
    for (let done = 0; done < ends.length; done += 1) {
      ends[done]?.()
      await settled()
    }
  }
  return { begun, task, endAll }
}

describe('Lanes', () => {
  it('lets a known node through at once behind 1,500 strangers [claims:fate:strangers]', async () => {
    const lanes = new Lanes()
    const { begun, task, endAll } = tasks()
    const all = Array.from({ length: 1_500 }, (_, n) =>
      lanes.run({ isKnown: false, caller: `198.51.100.${n % 7}` }, alive, task(`stranger ${n}`)),
    )
    all.push(lanes.run({ isKnown: true, caller: undefined }, alive, task('known')))
    await settled()
    expect(begun.toSorted()).toEqual(['known', 'stranger 0', 'stranger 1', 'stranger 2', 'stranger 3'])
    await endAll()
    await Promise.all(all)
  })

  it('sends away both lanes', async () => {
    const lanes = new Lanes()
    const { task, endAll } = tasks()
    const all = [true, false].flatMap((isKnown) =>
      Array.from({ length: 9 }, (_, n) => lanes.run({ isKnown, caller: undefined }, alive, task(String(n)))),
    )
    const outcomes = Promise.allSettled(all)
    lanes.release(new Error('sent away'))
    await endAll()
    expect((await outcomes).filter(({ status }) => status === 'rejected')).toHaveLength(1 + 5)
  })
})

describe('CallerQueue', () => {
  it('takes callers in turn, so that one who asks a hundred times delays another by one turn [claims:fate:strangers]', async () => {
    const queue = new CallerQueue(1)
    const { begun, task, endAll } = tasks()
    const all = Array.from({ length: 100 }, (_, n) => queue.run('192.0.2.1', alive, task(`many ${n}`)))
    all.push(queue.run('192.0.2.2', alive, task('one')))
    all.push(queue.run(undefined, alive, task('unnamed')))
    await endAll()
    await Promise.all(all)
    expect(begun.slice(0, 5)).toEqual(['many 0', 'many 1', 'one', 'unnamed', 'many 2'])
    expect(begun).toHaveLength(102)
  })

  it('bounds how many of one caller wait, and turns nobody else away', async () => {
    const queue = new CallerQueue(1, 2)
    const { task, endAll } = tasks()
    const many = Promise.allSettled(Array.from({ length: 5 }, (_, n) => queue.run('192.0.2.1', alive, task(String(n)))))
    const other = queue.run('192.0.2.2', alive, task('other'))
    await endAll()
    expect((await many).map((one) => (one.status === 'rejected' ? String(one.reason) : one.status))).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'KeylimeError: more than 2 requests are waiting',
      'KeylimeError: more than 2 requests are waiting',
    ])
    expect(await other).toBe('other')
  })

  it('forgets a caller that has gone', async () => {
    const queue = new CallerQueue(1)
    const { begun, task, endAll } = tasks()
    const gone = new AbortController()
    const all = Promise.allSettled([
      queue.run('a', alive, task('first')),
      queue.run('b', gone.signal, task('gone')),
      queue.run('c', alive, task('last')),
    ])
    gone.abort(new Error('gone'))
    await endAll()
    expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(begun).toEqual(['first', 'last'])
  })
})
