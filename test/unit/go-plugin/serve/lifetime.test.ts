import { describe, expect, it } from 'vitest'
import { newHclogLogger } from '../../../../plugins/go-plugin/log/hclog.ts'
import { newLifetime } from '../../../../plugins/go-plugin/serve/lifetime.ts'

function newLog(): { log: ReturnType<typeof newHclogLogger>; lines: string[] } {
  const lines: string[] = []
  return { log: newHclogLogger((line) => lines.push(line)), lines }
}

describe('newLifetime', () => {
  it('runs the author’s ending first, then ends the newest thing first, all of it once', async () => {
    const order: string[] = []
    const ending = (): Promise<void> => {
      order.push('author')
      return Promise.resolve()
    }
    const lifetime = newLifetime(ending, newLog().log)
    for (const name of ['socket', 'server']) lifetime.whenClosed(() => void order.push(name))
    await Promise.all([lifetime.shutdown(), lifetime.shutdown(), lifetime.closed])
    expect(order).toEqual(['author', 'server', 'socket'])
  })

  it('goes on when a part of the ending fails, and logs it', async () => {
    const { log, lines } = newLog()
    const order: string[] = []
    const lifetime = newLifetime(() => Promise.reject(new Error('no disk')), log)
    lifetime.whenClosed(() => void order.push('socket'))
    lifetime.whenClosed(() => {
      throw new Error('no server')
    })
    await lifetime.shutdown()
    expect(order).toEqual(['socket'])
    expect(lines.map((line) => (JSON.parse(line) as { error: string }).error)).toEqual(['no disk', 'no server'])
  })

  it('does not wait longer than a second for the author’s ending', async () => {
    const { log, lines } = newLog()
    const lifetime = newLifetime(() => new Promise(() => undefined), log)
    await lifetime.shutdown()
    expect(lines[0]).toContain('"waited_ms":1000')
  })
})
