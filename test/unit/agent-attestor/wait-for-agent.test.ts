import { describe, expect, it } from 'vitest'
import { waitForAgent } from '../../../agent-attestor/wait-for-agent.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../plugins/keylime/basis/errors.ts'
import { outcomeOfAsync } from '../tpm/outcome.ts'
import { newRecordingLog } from './recording-log.ts'

/** A clock that only pauses move, and a Keylime agent that fails so many times. */
function scene(failures: number, code: KeylimeErrorCode, waitMs: number) {
  let now = 0
  let asked = 0
  const pauses: number[] = []
  const { log, lines } = newRecordingLog()
  const ask = async (): Promise<string> => {
    asked += 1
    if (asked <= failures) throw new KeylimeError(code, `failure ${asked}`)
    return 'up'
  }
  const pause = async (ms: number): Promise<void> => {
    pauses.push(ms)
    now += ms
  }
  const { signal } = new AbortController()
  const run = (): Promise<string> => waitForAgent(ask, { waitMs, signal, log, clock: () => now, pause })
  return { run, pauses, lines, asked: () => asked }
}

describe('waitForAgent', () => {
  it('asks once, and logs nothing, when the agent is up', async () => {
    const { run, pauses, lines, asked } = scene(0, 'KEYLIME_UNREACHABLE', 30_000)
    await expect(run()).resolves.toBe('up')
    expect([asked(), pauses, lines]).toEqual([1, [], []])
  })

  it.each(['KEYLIME_UNREACHABLE', 'KEYLIME_UNAVAILABLE', 'KEYLIME_TIMEOUT'] as const)(
    'asks again after %s, soon at first, then every two seconds',
    async (code) => {
      const { run, pauses, lines } = scene(6, code, 30_000)
      await expect(run()).resolves.toBe('up')
      expect(pauses).toEqual([250, 500, 1000, 2000, 2000, 2000])
      expect(lines).toEqual([
        'warn Keylime agent is not up yet, asking again {"left_ms":30000,"error":"failure 1"}',
        'info Keylime agent is up {"waited_ms":7750}',
      ])
    },
  )

  it('repeats its progress every ten seconds', async () => {
    const { run, lines } = scene(16, 'KEYLIME_UNREACHABLE', 60_000)
    await expect(run()).resolves.toBe('up')
    expect(lines.map((line) => line.replace(/ "?\{.*/, ''))).toEqual([
      'warn Keylime agent is not up yet, asking again',
      'warn Keylime agent is not up yet, asking again',
      'warn Keylime agent is not up yet, asking again',
      'info Keylime agent is up',
    ])
  })

  it('gives up at the bound with the last failure, its code and the time', async () => {
    const { run, pauses } = scene(99, 'KEYLIME_UNREACHABLE', 3_000)
    await expect(outcomeOfAsync(run)).resolves.toBe(
      'KEYLIME_UNREACHABLE: failure 5; waited 3 s for it (wait_for_agent)',
    )
    expect(pauses).toEqual([250, 500, 1000, 1250])
  })

  it('does not wait at all with a bound of zero, and says nothing of waiting', async () => {
    const { run, lines } = scene(99, 'KEYLIME_UNREACHABLE', 0)
    await expect(outcomeOfAsync(run)).resolves.toBe('KEYLIME_UNREACHABLE: failure 1')
    expect(lines).toEqual([])
  })

  it.each(['KEYLIME_PEER_UNTRUSTED', 'KEYLIME_CLIENT_REFUSED', 'KEYLIME_BAD_RESPONSE', 'KEYLIME_CANCELLED'] as const)(
    'does not ask again after %s, which waiting does not heal',
    async (code) => {
      const { run, asked } = scene(99, code, 30_000)
      await expect(outcomeOfAsync(run)).resolves.toBe(`${code}: failure 1`)
      expect(asked()).toBe(1)
    },
  )

  it('ends a pause as soon as the signal aborts', async () => {
    const controller = new AbortController()
    const { log } = newRecordingLog()
    const ask = async (): Promise<never> => {
      queueMicrotask(() => controller.abort())
      throw new KeylimeError('KEYLIME_UNREACHABLE', 'refused')
    }
    const run = (): Promise<never> => waitForAgent(ask, { waitMs: 3_600_000, signal: controller.signal, log })
    await expect(outcomeOfAsync(run)).resolves.toBe(
      'KEYLIME_CANCELLED: spire agent gave up while the keylime agent was not up',
    )
  })
})
