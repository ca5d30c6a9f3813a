import { describe, expect, it } from 'vitest'
import { Limiter, type Turn } from '../../../../plugins/keylime/basis/limiter.ts'

const alive = new AbortController().signal

function blocked(): { readonly task: () => Promise<void>; readonly open: () => void } {
  const gate = Promise.withResolvers<void>()
  return { task: () => gate.promise, open: gate.resolve }
}

describe('Limiter', () => {
  it('lets a fixed number run, and the rest in the order in which they came', async () => {
    const limiter = new Limiter(2)
    const gates = [blocked(), blocked(), blocked(), blocked()]
    const begun: number[] = []
    const runs = gates.map(({ task }, index) =>
      limiter.run(alive, () => {
        begun.push(index)
        return task()
      }),
    )
    await Promise.resolve()
    expect([begun, limiter.counts.waiting]).toEqual([[0, 1], 2])
    gates[1]?.open()
    await runs[1]
    await Promise.resolve()
    expect(begun).toEqual([0, 1, 2])
    for (const gate of gates) gate.open()
    await Promise.all(runs)
    expect([begun, limiter.counts.waiting]).toEqual([[0, 1, 2, 3], 0])
  })

  it('gives the place of a failed task to the next', async () => {
    const limiter = new Limiter(1)
    const failing = limiter.run(alive, () => Promise.reject(new Error('no')))
    const next = limiter.run(alive, () => Promise.resolve('yes'))
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('yes')
  })

  it('takes a caller that has gone out of the queue', async () => {
    const limiter = new Limiter(1)
    const gate = blocked()
    const running = limiter.run(alive, gate.task)
    const caller = new AbortController()
    const waiting = limiter.run(caller.signal, () => Promise.reject(new Error('must not run')))
    caller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(limiter.counts.waiting).toBe(0)
    gate.open()
    await running
    await expect(limiter.run(caller.signal, () => Promise.resolve())).rejects.toThrow('gone')
    expect(await limiter.run(alive, () => Promise.resolve(1))).toBe(1)
  })

  it('tells callers to try again when too many wait', async () => {
    const limiter = new Limiter(1, 1)
    const gate = blocked()
    const runs = [limiter.run(alive, gate.task), limiter.run(alive, gate.task)]
    await expect(limiter.run(alive, gate.task)).rejects.toMatchObject({
      code: 'KEYLIME_UNAVAILABLE',
      message: 'more than 1 requests are waiting',
      facts: { reason: 'queue-full', limit: 1 },
    })
    gate.open()
    await Promise.all(runs)
  })

  it('sends away all who wait, and lets those in who come later', async () => {
    const limiter = new Limiter(1)
    const gate = blocked()
    const running = limiter.run(alive, gate.task)
    const waiting = [1, 2].map((value) => limiter.run(alive, () => Promise.resolve(value)))
    const ends = Promise.allSettled(waiting)
    limiter.release(new Error('the service failed'))
    expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    gate.open()
    await running
    expect(await limiter.run(alive, () => Promise.resolve(3))).toBe(3)
  })

  it('hands places on in the order of waiting, to those that are told', () => {
    const limiter = new Limiter(2, 10)
    const begun: string[] = []
    const turn = (name: string): Turn => ({ begin: () => begun.push(name), sendAway: () => begun.push(`no ${name}`) })
    expect([limiter.queue(turn('a')), limiter.queue(turn('b'))]).toEqual(['entered', 'entered'])
    for (const name of ['c', 'd', 'e']) limiter.queue(turn(name))
    expect(limiter.counts).toEqual({ active: 2, waiting: 3 })
    for (let left = 0; left < 5; left += 1) limiter.leave()
    expect(begun).toEqual(['c', 'd', 'e'])
    expect(limiter.counts).toEqual({ active: 0, waiting: 0 })
  })

  it('lets one leave the queue, passes it over, and says when the queue is full', () => {
    const limiter = new Limiter(1, 2)
    const begun: string[] = []
    const turn = (name: string): Turn => ({ begin: () => begun.push(name), sendAway: () => begun.push(`no ${name}`) })
    limiter.queue(turn('a'))
    const leave = limiter.queue(turn('b'))
    limiter.queue(turn('c'))
    expect(limiter.queue(turn('d'))).toBe('full')
    if (typeof leave === 'function') leave()
    limiter.leave()
    expect(begun).toEqual(['c'])
  })

  it('has no queue when nobody may wait', () => {
    const limiter = new Limiter(1, 0)
    expect([limiter.enter(), limiter.enter()]).toEqual([true, false])
    limiter.leave()
    expect(limiter.enter()).toBe(true)
  })
})
