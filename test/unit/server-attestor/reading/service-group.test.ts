import { describe, expect, it } from 'vitest'
import { attestError } from '../../../../plugins/gate/decision.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../../plugins/keylime/basis/errors.ts'
import { newFailure } from '../../../../plugins/keylime/basis/failures.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { type GroupOptions, ServiceGroup } from '../../../../server-attestor/reading/service-group.ts'

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

  it('lets go of those who wait at a service when it fails, once each time it is set aside, and never at the only one', async () => {
    let now = 0
    const released: string[] = []
    const release = (name: string, { message }: KeylimeError): void => void released.push(`${name}: ${message}`)
    const { group: verifiers } = group({ clock: () => now, release })
    const failing = asking({ one: 'KEYLIME_TIMEOUT', two: 'KEYLIME_AGENT_UNKNOWN', three: 'KEYLIME_AGENT_UNKNOWN' })
    for (const at of [0, 9_999, 19_998]) {
      now = at
      await verifiers.askInTurn(NODE, alive, failing.ask).catch(() => undefined)
    }
    expect(released).toEqual(['one: one fails'])
    now = 40_000
    await verifiers.askInTurn(NODE, alive, failing.ask).catch(() => undefined)
    expect(released).toEqual(['one: one fails', 'one: one fails'])
    const log = { info: () => undefined, warn: () => undefined }
    const alone = new ServiceGroup([{ name: 'one', service: 'one' }], log, { release })
    await alone.askInTurn(NODE, alive, failing.ask).catch(() => undefined)
    expect(released).toHaveLength(2)
  })
})
