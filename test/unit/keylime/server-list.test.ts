import { describe, expect, it } from 'vitest'
import { type FailureReason, newFailure } from '../../../plugins/keylime/failures.ts'
import { parseAgentId } from '../../../plugins/keylime/ids.ts'
import { DOWN_MS, ServerList } from '../../../plugins/keylime/server-list.ts'
import { VerifierClient } from '../../../plugins/keylime/verifier-client.ts'
import { startFakeKeylime } from '../../fakes/fake-keylime.ts'
import { failureOf, originFor } from './https-fixture.ts'

/** Is a server whose answers a test decides. */
interface Scripted {
  readonly name: string
  answer: string
}

function scripted(...answers: string[]): {
  list: ServerList<Scripted>
  servers: Scripted[]
  asked: string[]
  log: string[]
  pass(ms: number): void
  ask(key?: string): Promise<string>
} {
  const servers = answers.map((answer, index) => ({ name: `verifier ${'abc'[index] ?? ''}`, answer }))
  const asked: string[] = []
  const log: string[] = []
  let now = 0
  const write = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    log.push(`${message}: ${[fields['service'], fields['code']].join(' ')}`.trim())
  }
  const list = new ServerList<Scripted>(servers, { clock: () => now, log: { info: write, warn: write, error: write } })
  const call = async (server: Scripted): Promise<string> => {
    asked.push(server.name.slice(-1))
    await Promise.resolve()
    if (server.answer.startsWith('ok')) return `${server.answer} of ${server.name}`
    throw newFailure(server.answer as FailureReason, `${server.name} ${server.answer}`)
  }
  return {
    list,
    servers,
    asked,
    log,
    pass: (ms) => {
      now += ms
    },
    ask: (key = 'node') => list.ask(key, call),
  }
}

describe('ServerList', () => {
  it('asks in the configured order, and the one that knew the agent first next time', async () => {
    const at = scripted('agent-unknown', 'ok', 'ok')
    expect(await at.ask()).toBe('ok of verifier b')
    expect(await at.ask()).toBe('ok of verifier b')
    expect(await at.ask('other')).toBe('ok of verifier b')
    expect(at.asked.join('')).toBe('abbab')
    expect(at.log).toEqual([])
  })

  it('goes on to the next at once when one refuses the connection, and asks it last for a while', async () => {
    const at = scripted('refused', 'ok')
    await at.ask()
    await at.ask('second')
    expect(at.asked.join('')).toBe('abb')
    at.pass(DOWN_MS)
    await at.ask('third')
    expect(at.asked.join('')).toBe('abbab')
  })

  it('leaves the one that knew the agent when it fails, and returns to it when it is well', async () => {
    const at = scripted('ok', 'ok')
    const [first] = at.servers
    if (first === undefined) throw new Error('no server')
    await at.ask()
    first.answer = 'timeout'
    expect(await at.ask()).toBe('ok of verifier b')
    expect(at.list.health).toEqual([
      { name: 'verifier a', isUp: false, failures: 1, code: 'KEYLIME_TIMEOUT' },
      { name: 'verifier b', isUp: true, failures: 0 },
    ])
    first.answer = 'ok'
    at.pass(DOWN_MS)
    expect(await at.ask('new')).toBe('ok of verifier a')
    expect(at.log).toEqual([
      'Keylime service fails: verifier a KEYLIME_TIMEOUT',
      'Keylime service answers again: verifier a',
    ])
  })

  it('logs a failing server once, not at every attestation', async () => {
    const at = scripted('refused', 'ok')
    for (let round = 0; round < 10; round += 1) {
      await at.ask(`node-${round}`)
      at.pass(DOWN_MS)
    }
    expect(at.log).toEqual(['Keylime service fails: verifier a KEYLIME_UNREACHABLE'])
  })

  it('calls an agent unknown only when every server says so', async () => {
    const both = await failureOf(scripted('agent-unknown', 'agent-unknown').ask())
    expect(both.code).toBe('KEYLIME_AGENT_UNKNOWN')
    expect(both.message).toBe('verifier a agent-unknown; and verifier b agent-unknown')
    const one = await failureOf(scripted('agent-unknown', 'server-error').ask())
    expect(one.code).toBe('KEYLIME_UNAVAILABLE')
    expect(one.message).toBe('verifier a agent-unknown; and verifier b server-error')
  })

  it('gives the error of a single server as it is', async () => {
    const { code, message } = await failureOf(scripted('peer-issuer').ask())
    expect({ code, message }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', message: 'verifier a peer-issuer' })
  })

  it('asks nobody else once the caller went away', async () => {
    const at = scripted('cancelled', 'ok')
    expect((await failureOf(at.ask())).code).toBe('KEYLIME_CANCELLED')
    expect(at.asked.join('')).toBe('a')
  })
})

describe('ServerList over real servers', () => {
  it('finds the verifier that knows the agent, and another when that one stops [P05]', async () => {
    await using keylime = await startFakeKeylime({ verifiers: 2, nodes: 2 })
    const [first, second] = keylime.verifiers
    if (first === undefined || second === undefined) throw new Error('two verifiers expected')
    const node = keylime.node()
    const agentId = parseAgentId(node.agentId)
    const { caFile, certFile, keyFile } = keylime
    const origins = [second, first].map(({ port }) => originFor(port, { files: { caFile, certFile, keyFile } }))
    const list = new ServerList(origins.map((origin) => new VerifierClient(origin)))
    const ask = async (): Promise<string> =>
      (await list.ask(agentId, async (one) => ({ name: one.name, record: await one.getAgent(agentId) }))).name
    expect(await ask()).toBe(`keylime verifier 127.0.0.1:${first.port}`)
    await first.pause()
    const { code, message } = await failureOf(ask())
    expect(code).toBe('KEYLIME_UNREACHABLE')
    expect(message).toContain('refused the connection')
    expect(message).toContain(`keylime verifier 127.0.0.1:${second.port} does not know agent`)
    await first.resume()
    expect(await ask()).toBe(`keylime verifier 127.0.0.1:${first.port}`)
    await Promise.all(origins.map((origin) => origin.close()))
  })
})
