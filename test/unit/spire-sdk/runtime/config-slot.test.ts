import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigSlot } from '../../../../plugins/spire-sdk/runtime/config-slot.ts'
import { RpcError } from '../../../../plugins/spire-sdk/wire/rpc-error.ts'

function slot() {
  const disposed: string[] = []
  const made = new ConfigSlot<string>(async (config) => void disposed.push(config))
  return { made, disposed }
}

describe('ConfigSlot', () => {
  it('says "not configured" before the first configuration', () => {
    expect(() => slot().made.acquire()).toThrow(new RpcError('FAILED_PRECONDITION', 'not configured'))
  })

  it('lets a running call finish on the old configuration, then disposes of it [C48]', async () => {
    const { made, disposed } = slot()
    made.replace('old')
    const running = made.acquire()
    made.replace('new')
    expect(running.config).toBe('old')
    expect(made.acquire().config).toBe('new')
    expect(disposed).toEqual([])
    running.release()
    expect(disposed).toEqual(['old'])
  })

  it('disposes of an unused configuration at once', () => {
    const { made, disposed } = slot()
    made.replace('old')
    made.replace('new')
    expect(disposed).toEqual(['old'])
  })

  it('counts a release once', () => {
    const { made, disposed } = slot()
    made.replace('old')
    const first = made.acquire()
    const second = made.acquire()
    made.replace('new')
    first.release()
    first.release()
    expect(disposed).toEqual([])
    second.release()
    expect(disposed).toEqual(['old'])
  })

  it('refuses new calls once closed, and closes when the last call has ended', async () => {
    const { made, disposed } = slot()
    made.replace('only')
    const running = made.acquire()
    const closed = made.close()
    expect(() => made.acquire()).toThrow(new RpcError('UNAVAILABLE', 'plugin is shutting down'))
    expect(disposed).toEqual([])
    running.release()
    await closed
    expect(disposed).toEqual(['only'])
  })

  it('closes at once when it never held anything', async () => {
    const { made, disposed } = slot()
    await made.close()
    expect(disposed).toEqual([])
  })

  it('disposes of each configuration once and never while a call uses it, in any order of events', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 2 }), { maxLength: 60 }), (events) => {
        const inUse = new Map<string, number>()
        const disposed = new Set<string>()
        const made = new ConfigSlot<string>(async (config) => {
          expect(inUse.get(config) ?? 0).toBe(0)
          expect(disposed.has(config)).toBe(false)
          disposed.add(config)
        })
        const leases: { config: string; release(): void }[] = []
        let count = 0
        made.replace(`c${count++}`)
        for (const event of events) {
          if (event === 0) made.replace(`c${count++}`)
          if (event === 1) {
            const lease = made.acquire()
            inUse.set(lease.config, (inUse.get(lease.config) ?? 0) + 1)
            leases.push(lease)
          }
          const lease = event === 2 ? leases.shift() : undefined
          if (lease !== undefined) {
            inUse.set(lease.config, (inUse.get(lease.config) ?? 0) - 1)
            lease.release()
          }
        }
        for (const lease of leases) {
          inUse.set(lease.config, (inUse.get(lease.config) ?? 0) - 1)
          lease.release()
        }
        expect(disposed.size).toBe(count - 1)
      }),
    )
  })
})
