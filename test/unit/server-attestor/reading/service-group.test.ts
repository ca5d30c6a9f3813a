import { describe, expect, it } from 'vitest'
import { attestError } from '../../../../plugins/gate/decision.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../../plugins/keylime/basis/errors.ts'
import { newFailure } from '../../../../plugins/keylime/basis/failures.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { type GroupOptions, SentAway, ServiceGroup } from '../../../../server-attestor/reading/service-group.ts'

const NODE = parseAgentId('node-1')
const alive = new AbortController().signal

function group(options: GroupOptions<string> = {}) {
  const lines: string[] = []
  const facts: Readonly<Record<string, unknown>>[] = []
  const take = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push(`${message}: ${String(fields?.['service'])}`)
    facts.push(fields ?? {})
  }
  const members = ['one', 'two', 'three'].map((name) => ({ name, service: name }))
  return { group: new ServiceGroup(members, { info: take, warn: take }, options), lines, facts }
}

/** Answers by service name: a text, or a code to fail with. */
function asking(answers: Readonly<Record<string, string>>) {
  const asked: string[] = []
  const ask = (name: string): Promise<string> => {
    asked.push(name)
    const answer = answers[name] ?? ''
    return answer.startsWith('KEYLIME_')
      ? Promise.reject(new KeylimeError(answer as KeylimeErrorCode, `${name} fails`))
      : Promise.resolve(answer)
  }
  return { asked, ask }
}

/** A group whose first service fails, and what it let go of. */
function failing(failure: KeylimeError, members = 3) {
  const clock = { now: 100_000 }
  const released: string[] = []
  const release = (name: string, { message }: SentAway): void => void released.push(`${name}: ${message}`)
  const all = ['one', 'two', 'three'].slice(0, members).map((name) => ({ name, service: name }))
  const log = { info: () => undefined, warn: () => undefined }
  const verifiers = new ServiceGroup(all, log, { clock: () => clock.now, release })
  const attempt = async (answer: Promise<string> = Promise.reject(failure)): Promise<void> => {
    answer.catch(() => undefined)
    const ask = (name: string): Promise<string> =>
      name === 'one' ? answer : Promise.reject(new KeylimeError('KEYLIME_AGENT_UNKNOWN', 'unknown'))
    await verifiers.askInTurn(NODE, alive, ask).catch(() => undefined)
  }
  return { clock, released, attempt }
}

describe('ServiceGroup', () => {
  it('asks in order until one knows the node, and that one first the next time', async () => {
    const { group: verifiers } = group()
    const { asked, ask } = asking({ one: 'KEYLIME_AGENT_UNKNOWN', two: 'record' })
    expect(await verifiers.askInTurn(NODE, alive, ask)).toBe('record')
    expect(await verifiers.askInTurn(NODE, alive, ask)).toBe('record')
    expect(asked).toEqual(['one', 'two', 'two'])
  })

  it('keeps to its order where it is not sticky, as registrars are: anyone can register an ID at the second', async () => {
    let now = 0
    const { group: registrars } = group({ clock: () => now, sticky: false })
    await registrars.askInTurn(NODE, alive, asking({ one: 'KEYLIME_UNREACHABLE', two: 'record' }).ask)
    now = 10_000
    const back = asking({ one: 'record', two: 'record' })
    await registrars.askInTurn(NODE, alive, back.ask)
    expect(back.asked).toEqual(['one'])
  })

  it('says "unknown" only when all answered so; a silent one might have known', async () => {
    const { group: verifiers } = group()
    const none = asking({ one: 'KEYLIME_AGENT_UNKNOWN', two: 'KEYLIME_AGENT_UNKNOWN', three: 'KEYLIME_AGENT_UNKNOWN' })
    await expect(verifiers.askInTurn(NODE, alive, none.ask)).rejects.toMatchObject({ code: 'KEYLIME_AGENT_UNKNOWN' })
    const silent = asking({ one: 'KEYLIME_AGENT_UNKNOWN', two: 'KEYLIME_TIMEOUT', three: 'KEYLIME_AGENT_UNKNOWN' })
    await expect(verifiers.askInTurn(NODE, alive, silent.ask)).rejects.toMatchObject({
      code: 'KEYLIME_TIMEOUT',
      message: 'two fails',
    })
  })

  it.each([
    'KEYLIME_UNREACHABLE',
    'KEYLIME_TIMEOUT',
    'KEYLIME_UNAVAILABLE',
    'KEYLIME_CLIENT_REFUSED',
    'KEYLIME_PEER_UNTRUSTED',
    'KEYLIME_API_UNSUPPORTED',
    'KEYLIME_BAD_RESPONSE',
  ] as const)('goes on to the next after %s', async (code) => {
    const { group: verifiers } = group()
    expect(await verifiers.askInTurn(NODE, alive, asking({ one: code, two: 'record' }).ask)).toBe('record')
  })

  it('asks a service that failed last for ten seconds, and logs its failure and its return once', async () => {
    let now = 0
    const { group: verifiers, lines, facts } = group({ clock: () => now })
    const down = asking({ one: 'KEYLIME_UNREACHABLE', two: 'record' })
    for (const id of ['a', 'b', 'c']) await verifiers.askInTurn(parseAgentId(id), alive, down.ask)
    expect(down.asked).toEqual(['one', 'two', 'two', 'two'])
    now = 10_000
    const up = asking({ one: 'record', two: 'record' })
    await verifiers.askInTurn(parseAgentId('d'), alive, up.ask)
    expect(up.asked).toEqual(['one'])
    expect(lines).toEqual(['Keylime service fails: one', 'Keylime service answers again: one'])
    expect(facts[0]).toEqual({ service: 'one', error: 'one fails' })
  })

  it.each(['answer-shape', 'answer-other-agent', 'answer-too-large'] as const)(
    'sets no service aside for one damaged record, which anyone can register: %s',
    async (reason) => {
      const { group: registrars, lines, facts } = group()
      const asked: string[] = []
      const ask = (name: string): Promise<string> => {
        asked.push(name)
        return name === 'one' && asked.length === 1
          ? Promise.reject(newFailure(reason, 'one sends a record that is not as expected'))
          : Promise.resolve('record')
      }
      await registrars.askInTurn(NODE, alive, ask)
      await registrars.askInTurn(parseAgentId('node-2'), alive, ask)
      expect(asked).toEqual(['one', 'two', 'one'])
      expect(lines).toEqual(['Keylime service sends an unusable record: one'])
      expect(facts).toEqual([{ service: 'one', reason, error: 'one sends a record that is not as expected' }])
    },
  )

  it('takes a verdict for an answer: nobody else is asked', async () => {
    const { group: verifiers } = group()
    const asked: string[] = []
    const rejecting = (name: string): Promise<never> => {
      asked.push(name)
      return Promise.reject(attestError('KL-QUOTE-VERIFIER-REJECTED', {}))
    }
    await expect(verifiers.askInTurn(NODE, alive, rejecting)).rejects.toMatchObject({
      code: 'KL-QUOTE-VERIFIER-REJECTED',
    })
    expect(asked).toEqual(['one'])
  })

  it('stops when the attestation ends', async () => {
    const { group: verifiers } = group()
    const caller = new AbortController()
    const asked: string[] = []
    const leaving = (name: string): Promise<never> => {
      asked.push(name)
      caller.abort(new Error('gone'))
      return Promise.reject(new KeylimeError('KEYLIME_CANCELLED', 'cancelled'))
    }
    await expect(verifiers.askInTurn(NODE, caller.signal, leaving)).rejects.toThrow('gone')
    expect(asked).toEqual(['one'])
  })

  describe('lets go of those who wait at a service', () => {
    const refused = newFailure('refused', 'one refuses')
    const hung = newFailure('timeout', 'one hangs', { facts: { timeout_ms: 2_000, connected: true } })
    const unconnected = newFailure('timeout', 'one is out of reach', { facts: { timeout_ms: 2_000, connected: false } })

    it('when it cannot be reached, once each time it is set aside, and never at the only one', async () => {
      const { clock, released, attempt } = failing(refused)
      for (const now of [0, 9_999, 19_998]) {
        clock.now = now
        await attempt()
      }
      expect(released).toEqual(['one: one refuses'])
      clock.now = 40_000
      await attempt()
      expect(released).toEqual(['one: one refuses', 'one: one refuses'])
      const alone = failing(refused, 1)
      await alone.attempt()
      expect(alone.released).toEqual([])
    })

    it('when its connections do not open, and when it has answered nobody for the time of a request', async () => {
      for (const error of [unconnected, hung]) {
        const { released, attempt } = failing(error)
        await attempt()
        expect(released).toHaveLength(1)
      }
    })

    it('but not when one request fails while others are answered [claims:fate:one-request]', async () => {
      for (const reason of ['server-error', 'proxy-error', 'throttled', 'reset', 'answer-not-json'] as const) {
        const { released, attempt } = failing(newFailure(reason, 'one fails'))
        await attempt()
        expect(released).toEqual([])
      }
      const { clock, released, attempt } = failing(hung)
      await attempt(Promise.resolve('record'))
      clock.now += 1_999
      await attempt()
      expect(released).toEqual([])
    })
  })

  it('sends who was taken out of a queue back to it when nobody else knows the node [claims:fate:one-request]', async () => {
    const { group: verifiers } = group()
    const asked: string[] = []
    const ask = (name: string): Promise<string> => {
      asked.push(name)
      if (name !== 'one') return Promise.reject(new KeylimeError('KEYLIME_AGENT_UNKNOWN', 'unknown'))
      return asked.length === 1 ? Promise.reject(new SentAway('one refuses')) : Promise.resolve('record')
    }
    expect(await verifiers.askInTurn(NODE, alive, ask)).toBe('record')
    expect(asked).toEqual(['one', 'two', 'three', 'one'])
    const lost = (name: string): Promise<string> =>
      Promise.reject(asked.push(name) > 6 ? new KeylimeError('KEYLIME_AGENT_UNKNOWN', 'unknown') : new SentAway('x'))
    await expect(verifiers.askInTurn(parseAgentId('node-2'), alive, lost)).rejects.toMatchObject({
      code: 'KEYLIME_AGENT_UNKNOWN',
    })
  })
})
