import { describe, expect, it } from 'vitest'
import { Turnstile } from '../../../../server-attestor/reading/turnstile.ts'

const alive = new AbortController().signal

function blocked(): { readonly task: () => Promise<void>; readonly open: () => void } {
  const gate = Promise.withResolvers<void>()
  return { task: () => gate.promise, open: gate.resolve }
}

describe('Turnstile', () => {
  it('lets a fixed number run, and the rest in the order in which they came', async () => {
    const turnstile = new Turnstile(2)
    const gates = [blocked(), blocked(), blocked(), blocked()]
    const begun: number[] = []
    const runs = gates.map(({ task }, index) =>
      turnstile.run(alive, () => {
        begun.push(index)
        return task()
      }),
    )
    await Promise.resolve()
    expect([begun, turnstile.waiting]).toEqual([[0, 1], 2])
    gates[1]?.open()
    await runs[1]
    await Promise.resolve()
    expect(begun).toEqual([0, 1, 2])
    for (const gate of gates) gate.open()
    await Promise.all(runs)
    expect([begun, turnstile.waiting]).toEqual([[0, 1, 2, 3], 0])
  })

  it('gives the place of a failed task to the next', async () => {
    const turnstile = new Turnstile(1)
    const failing = turnstile.run(alive, () => Promise.reject(new Error('no')))
    const next = turnstile.run(alive, () => Promise.resolve('yes'))
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('yes')
  })

  it('takes a caller that has gone out of the queue', async () => {
    const turnstile = new Turnstile(1)
    const gate = blocked()
    const running = turnstile.run(alive, gate.task)
    const caller = new AbortController()
    const waiting = turnstile.run(caller.signal, () => Promise.reject(new Error('must not run')))
    caller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(turnstile.waiting).toBe(0)
    gate.open()
    await running
    await expect(turnstile.run(caller.signal, () => Promise.resolve())).rejects.toThrow('gone')
    expect(await turnstile.run(alive, () => Promise.resolve(1))).toBe(1)
  })

  it('tells callers to try again when too many wait', async () => {
    const turnstile = new Turnstile(1, 1)
    const gate = blocked()
    const runs = [turnstile.run(alive, gate.task), turnstile.run(alive, gate.task)]
    await expect(turnstile.run(alive, gate.task)).rejects.toMatchObject({
      code: 'KL-BUSY',
      message: 'more than 1 attestations are waiting, try again [KL-BUSY]',
    })
    gate.open()
    await Promise.all(runs)
  })

  it('sends away all who wait, and lets those in who come later', async () => {
    const turnstile = new Turnstile(1)
    const gate = blocked()
    const running = turnstile.run(alive, gate.task)
    const waiting = [1, 2].map((value) => turnstile.run(alive, () => Promise.resolve(value)))
    const ends = Promise.allSettled(waiting)
    turnstile.release(new Error('the service failed'))
    expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    gate.open()
    await running
    expect(await turnstile.run(alive, () => Promise.resolve(3))).toBe(3)
  })
})
