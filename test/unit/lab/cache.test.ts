import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withLock } from '../../lab/parts/cache.ts'

let before: string | undefined
let dir: string

beforeEach(() => {
  before = process.env.XDG_CACHE_HOME
  dir = mkdtempSync(join(tmpdir(), 'rig-cache-'))
  process.env.XDG_CACHE_HOME = dir
})
afterEach(() => {
  if (before === undefined) delete process.env.XDG_CACHE_HOME
  else process.env.XDG_CACHE_HOME = before
  rmSync(dir, { recursive: true, force: true })
})

describe('withLock', () => {
  it('lets one work at a time, and tells the other that it waits', async () => {
    const events: string[] = []
    const waited = Promise.withResolvers<void>()
    const first = withLock(
      'build',
      () => {},
      async () => {
        events.push('first begins')
        await waited.promise
        events.push('first ends')
      },
    )
    while (events.length === 0) await new Promise(setImmediate)
    const second = withLock(
      'build',
      () => {
        events.push('second waits')
        waited.resolve()
      },
      async () => events.push('second works'),
    )
    await Promise.all([first, second])
    expect(events).toEqual(['first begins', 'second waits', 'first ends', 'second works'])
  })

  it('is free again after work that failed', async () => {
    const failing = withLock(
      'build',
      () => {},
      () => Promise.reject(new Error('no compiler')),
    )
    await expect(failing).rejects.toThrow('no compiler')
    await expect(
      withLock(
        'build',
        () => {},
        async () => 'done',
      ),
    ).resolves.toBe('done')
  })
})
