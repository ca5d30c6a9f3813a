import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { trackChildren, watchParent } from '../../../../plugins/go-plugin/serve/process-events.ts'

describe('watchParent', () => {
  it('calls back once, when the process has got another parent [C33]', async () => {
    let parent = 7
    let calls = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const onDeath = (): void => {
      calls += 1
      resolve()
    }
    const stop = watchParent(onDeath, { intervalMs: 1, ppid: () => parent })
    parent = 1
    await promise
    await new Promise((done) => setTimeout(done, 20))
    expect(calls).toBe(1)
    stop()
  })
})

describe('trackChildren', () => {
  it('kills the children that still run [C30]', async () => {
    const killAll = trackChildren()
    const quick = spawn('true')
    await once(quick, 'exit')
    const slow = spawn('sleep', ['600'])
    await once(slow, 'spawn')
    killAll()
    expect(await once(slow, 'exit')).toEqual([null, 'SIGKILL'])
  })
})
