import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_AGENT_UUID } from '../../plugins/keylime/basis/ids.ts'
import { encodeChallenge, parsePayload } from '../../plugins/keylime/evidence/messages.ts'
import { verifyQuote } from '../../plugins/keylime/evidence/quote.ts'
import { type FakeKeylime, type FakeNodeAgent, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { answerWith, editResults, type Fault, nginxError } from '../fakes/faults.ts'
import { AgentPlugin, type AidOutcome } from './agent-plugin.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]()
})

interface Bench {
  readonly keylime: FakeKeylime
  readonly agent: FakeNodeAgent
  readonly plugin: AgentPlugin
}

async function bench(
  extra: Parameters<FakeNodeAgent['agentHcl']>[0] = {},
  options: { tls?: boolean } = {},
): Promise<Bench> {
  const keylime = await startFakeKeylime()
  open.push(keylime)
  const agent = await keylime.startAgent(undefined, options)
  const plugin = await AgentPlugin.start(agent.agentHcl({ wait_for_agent: '0s', ...extra }))
  open.push(plugin)
  return { keylime, agent, plugin }
}

function expectProof(outcome: AidOutcome, { tpm, agentId }: FakeNodeAgent): void {
  expect(`${outcome.status} ${outcome.message}`).toBe('OK ')
  const payload = parsePayload(outcome.messages[0] ?? Buffer.alloc(0))
  expect(payload).toEqual({ agentId, hashAlg: 'sha256' })
  const evidence = { ...payload, nonce: outcome.nonce, quote: outcome.response?.quote ?? '', pubkey: tpm.payloadPem }
  verifyQuote(evidence, { agentId, akTpm: tpm.akTpm, ekTpm: tpm.ekTpm }, { allowedHashAlgs: ['sha256'] })
  expect(outcome.response?.pubkey).toBe(tpm.payloadPem)
}

const lineOf = ({ status, message }: AidOutcome): string => `${status} ${message}`

describe('keylime-attestor-agent', () => {
  it('brings ID, quote and public key over mutual TLS, and shows its client certificate [T22]', async () => {
    const { agent, plugin } = await bench()
    expectProof(await plugin.aid(), agent)
    expect(agent.stats.clients['spire-agent']).toBeGreaterThan(0)
    expect(agent.stats.refusedClients).toBe(0)
    expect([...plugin.logs('warn'), ...plugin.logs('error')]).toEqual([])
  })

  it('works with the HTTP-only configuration of the first Go plugin, and warns [T27] [T30]', async () => {
    const { agent, plugin } = await bench({}, { tls: false })
    expectProof(await plugin.aid(), agent)
    expect(plugin.logs('warn').join()).toMatch(/keylime_agent_use_tls is false: evidence travels in the clear/)
  })

  it('says which scheme to switch when the two sides differ [T27]', async () => {
    const { plugin, agent, keylime } = await bench({ keylime_agent_use_tls: false })
    expect(lineOf(await plugin.aid())).toMatch(
      /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ .* set keylime_agent_use_tls = true \[KL-[A-Z-]+\]$/,
    )
    expect(agent.stats.requests).toEqual({})
    const plain = await keylime.startAgent(undefined, { tls: false })
    const tls = agent.agentHcl({ keylime_agent_port: plain.port, wait_for_agent: '0s' })
    await expect(plugin.configure(tls)).resolves.toEqual({ status: 'OK', message: '' })
    expect(lineOf(await plugin.aid())).toMatch(
      /^INTERNAL keylime agent 127\.0\.0\.1:\d+ does not speak TLS .* set keylime_agent_use_tls = false/,
    )
  })

  it('refuses a Keylime agent whose certificate another CA signed [T22]', async () => {
    const { keylime, agent, plugin } = await bench()
    const stranger = await keylime.pki.selfSigned(agent.agentId, { ip: ['127.0.0.1'] })
    agent.setCertificate({ cert: stranger.pem, key: stranger.keyPem() })
    agent.dropConnections()
    const outcome = await plugin.aid()
    expect(lineOf(outcome)).toMatch(/^INTERNAL keylime agent 127\.0\.0\.1:\d+ presents .*keylime_agent_ca_cert/)
    expect(outcome.messages).toEqual([])
  })

  it('names the expected and the presented names when they differ, and takes keylime_agent_server_name [T25]', async () => {
    const { keylime, agent, plugin } = await bench()
    const named = await keylime.pki.selfSigned(agent.agentId, { dns: ['node-7.example.org'], ip: ['10.1.2.3'] })
    agent.setCertificate({ cert: named.pem, key: named.keyPem() })
    const hcl = { keylime_agent_ca_cert: keylime.pki.write('named.pem', named.pem), wait_for_agent: '0s' }
    await plugin.configure(agent.agentHcl(hcl))
    expect(lineOf(await plugin.aid())).toMatch(
      /^INTERNAL keylime agent 127\.0\.0\.1:\d+ presents a certificate for .*node-7\.example\.org.*; expected 127\.0\.0\.1; set keylime_agent_server_name/,
    )
    await plugin.configure(agent.agentHcl({ ...hcl, keylime_agent_server_name: 'node-7.example.org' }))
    expectProof(await plugin.aid(), agent)
  })

  it('says that the Keylime agent demands a client certificate when none is configured [T22]', async () => {
    const { agent, plugin } = await bench({ keylime_agent_client_cert: '', keylime_agent_client_key: '' })
    expect(plugin.logs('warn').join()).toMatch(/keylime_agent_client_cert is not set/)
    expect(lineOf(await plugin.aid())).toMatch(/^INTERNAL keylime agent 127\.0\.0\.1:\d+ .*client certificate/)
    expect(agent.stats.requests).toEqual({})
  })

  it('takes a CA file with the root, the chain, the intermediate alone, or several roots [T28]', async () => {
    const { keylime, agent, plugin } = await bench()
    const { pki } = keylime
    const root = await pki.root('site root')
    const issuing = await root.intermediate('site issuing')
    const leaf = await issuing.issue('node')
    const strangers = [await pki.root('site root'), await pki.root('other root')]
    agent.setCertificate({ cert: leaf.chainPem, key: leaf.keyPem() })
    const files = {
      'root only': root.pem,
      chain: issuing.pem + root.pem,
      'intermediate only': issuing.pem,
      'several roots': strangers.map((one) => one.pem).join('') + root.pem,
    }
    for (const [name, pem] of Object.entries(files)) {
      const ca = pki.write(`${name}.pem`, pem)
      await expect(
        plugin.configure(agent.agentHcl({ keylime_agent_ca_cert: ca, wait_for_agent: '0s' })),
      ).resolves.toEqual({
        status: 'OK',
        message: '',
      })
      agent.dropConnections()
      expect(`${name}: ${lineOf(await plugin.aid())}`).toBe(`${name}: OK `)
    }
    const wrong = pki.write('strangers.pem', strangers.map((one) => one.pem).join(''))
    await plugin.configure(agent.agentHcl({ keylime_agent_ca_cert: wrong, wait_for_agent: '0s' }))
    agent.dropConnections()
    expect(lineOf(await plugin.aid())).toMatch(/^INTERNAL .*strangers\.pem/)
  })

  const faults: readonly (readonly [string, Fault, RegExp])[] = [
    ['hangs', { kind: 'hang' }, /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ did not answer within 300 ms/],
    [
      'stalls in its answer',
      { kind: 'stall' },
      /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ did not answer within 300 ms/,
    ],
    ['resets the connection', { kind: 'reset' }, /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ /],
    ['cuts its answer', { kind: 'truncate' }, /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ /],
    ['answers 502 from a proxy', nginxError(502), /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ .*502/],
    ['answers 500', answerWith(500), /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ .*500/],
    ['answers HTML', answerWith(200, '<html>hello</html>'), /^INTERNAL keylime agent 127\.0\.0\.1:\d+ /],
    ['answers other JSON', answerWith(200, '[]', 'application/json'), /^INTERNAL keylime agent 127\.0\.0\.1:\d+ /],
    [
      'answers 50 MiB',
      { kind: 'pad', bytes: 50 * 1024 * 1024 },
      /^INTERNAL keylime agent 127\.0\.0\.1:\d+ .*more than 1048576 bytes/,
    ],
    ['answers without the fields', editResults(() => ({})), /^INTERNAL keylime agent 127\.0\.0\.1:\d+ /],
  ]

  it('tells each fault of the Keylime agent by its status and its words, and serves the next attestation', async () => {
    const { agent, plugin } = await bench({ request_timeout: '300ms' })
    for (const endpoint of ['info', 'quote']) {
      for (const [title, fault, expected] of faults) {
        agent.fail(endpoint, fault)
        const outcome = await plugin.aid()
        expect(`${endpoint} ${title}: ${lineOf(outcome)}`).toMatch(
          new RegExp(expected.source.replace('^', `^${endpoint} ${title}: `)),
        )
        // What fails before the payload fails at once; what fails after it is told when SPIRE listens.
        expect(outcome.messages).toHaveLength(endpoint === 'info' ? 0 : 1)
        agent.clearFaults()
        expect(lineOf(await plugin.aid())).toBe('OK ')
      }
    }
  })

  it('asks no quote for a challenge that is none, or whose nonce would reach further into the URL', async () => {
    const { agent, plugin } = await bench()
    for (const [challenge, message] of [
      [Buffer.from('{}'), 'challenge lacks field Nonce'],
      [Buffer.from('hello'), 'challenge is not valid JSON'],
      [
        encodeChallenge({ nonce: 'A&mask=0x1' }),
        'challenge field Nonce is not usable: expected 1 to 64 ASCII letters and digits',
      ],
      [Buffer.alloc(70_000, ' '), 'challenge is too large: expected at most 65536 bytes, found 70000'],
    ] as const) {
      expect(lineOf(await plugin.aid({ challenge }))).toBe(`INVALID_ARGUMENT ${message} [KL-MESSAGE-MALFORMED]`)
    }
    expect(agent.stats.requests['quote']).toBeUndefined()
  })

  it('refuses to speak for a Keylime agent of another ID than keylime_agent_uuid', async () => {
    const { agent, plugin } = await bench({ keylime_agent_uuid: 'node-7' })
    const outcome = await plugin.aid()
    expect(lineOf(outcome)).toBe(
      `FAILED_PRECONDITION keylime agent 127.0.0.1:${agent.port} has id ${agent.agentId}, expected node-7 (keylime_agent_uuid): ` +
        "correct that key, or uuid in the keylime agent's configuration [KL-NODE-OTHER-ID]",
    )
    expect(outcome.messages).toEqual([])
    agent.setAgentId('node-7')
    expect(lineOf(await plugin.aid())).toBe('OK ')
  })

  it('serves a Keylime agent of API 2.1, which does not tell its ID, by keylime_agent_uuid', async () => {
    const { agent, plugin } = await bench()
    agent.setVersions(['2.1'])
    await plugin.configure(agent.agentHcl({ wait_for_agent: '0s' }))
    expect(lineOf(await plugin.aid())).toBe(
      `FAILED_PRECONDITION keylime agent 127.0.0.1:${agent.port} speaks API 2.1 only, which does not tell its id: set keylime_agent_uuid, or update it [KL-NODE-ID-UNTOLD]`,
    )
    await plugin.configure(agent.agentHcl({ keylime_agent_uuid: agent.agentId, wait_for_agent: '0s' }))
    expectProof(await plugin.aid(), agent)
  })

  it('warns of the ID that every unconfigured Keylime agent claims, and leaves the verdict to the server', async () => {
    const { agent, plugin } = await bench()
    agent.setAgentId(DEFAULT_AGENT_UUID)
    expect(lineOf(await plugin.aid())).toBe('OK ')
    expect(plugin.logs('warn').join()).toMatch(/Keylime agent has the default ID.*set uuid = \\?"hash_ek\\?" there/)
  })

  it('never writes nonce, quote or key to its log', async () => {
    const { agent, plugin } = await bench({ request_timeout: '300ms' })
    const good = await plugin.aid()
    agent.fail('quote', answerWith(500))
    const bad = await plugin.aid()
    const log = plugin.logs().join('\n')
    for (const secret of [good.nonce, bad.nonce, good.response?.quote ?? '?', 'BEGIN PRIVATE KEY']) {
      expect(log).not.toContain(secret)
    }
    expect(plugin.process.stdoutRest()).toBe('')
  })

  it('serves many attestations at once', async () => {
    const { agent, plugin } = await bench()
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => plugin.aid()))
    expect(new Set(outcomes.map(lineOf))).toEqual(new Set(['OK ']))
    expect(new Set(outcomes.map(({ nonce }) => nonce)).size).toBe(100)
    expect(agent.stats.connections).toBeLessThanOrEqual(40)
  })
})

describe('a storm of attestations', () => {
  it('does not end the connection, though SPIRE resets the stream of each', async () => {
    const { plugin } = await bench({}, { tls: false })
    // Node's HTTP/2 server ends a connection after 1,000 resets, plus 33 for each second.
    const outcomes: string[] = []
    const workers = Array.from({ length: 16 }, async () => {
      while (outcomes.length < 2500) outcomes.push(lineOf(await plugin.aid()))
    })
    await Promise.all(workers)
    expect(new Set(outcomes)).toEqual(new Set(['OK ']))
  })
})

describe('wait_for_agent', () => {
  it('waits at boot for a Keylime agent that is not up yet, and says so', async () => {
    const { agent, plugin } = await bench({ wait_for_agent: '30s' })
    await agent.pause()
    const attestation = plugin.aid()
    await until(() => plugin.logs('warn').some((line) => line.includes('Keylime agent is not up yet, asking again')))
    await agent.resume()
    expectProof(await attestation, agent)
    expect(plugin.logs('info').join()).toMatch(/Keylime agent is up/)
  })

  it('gives up after that time, with what went wrong last', async () => {
    const { agent, plugin } = await bench({ wait_for_agent: '600ms' })
    await agent.pause()
    expect(lineOf(await plugin.aid())).toMatch(
      /^UNAVAILABLE keylime agent 127\.0\.0\.1:\d+ .*refused.*; waited \d+ s for it \(wait_for_agent\) \[KL-KEYLIME-UNREACHABLE\]$/,
    )
  })

  it('ends with the call: a SPIRE agent that gives up leaves no request behind', async () => {
    const { agent, plugin } = await bench({ wait_for_agent: '1h' })
    await agent.pause()
    const cancel = new AbortController()
    const attestation = plugin.aid({ signal: cancel.signal })
    await until(() => plugin.logs('warn').some((line) => line.includes('not up yet')))
    cancel.abort()
    expect(lineOf(await attestation)).toMatch(/^CANCELLED /)
    await agent.resume()
    expectProof(await plugin.aid(), agent)
    // One attestation's requests and no more: the cancelled one asks no longer.
    expect(agent.stats.requests['info']).toBe(1)
  })

  it.each(['version', 'info', 'quote'] as const)(
    'takes back its request to /%s of a Keylime agent that hangs when the last call has gone [claims:fate:last-one-out]',
    async (endpoint) => {
      const { agent, plugin } = await bench({ request_timeout: '1m' })
      agent.fail(endpoint, { kind: 'hang' })
      const callers = [new AbortController(), new AbortController()]
      const attestations = callers.map(({ signal }) => plugin.aid({ signal }))
      await until(() => agent.inFlight() > 0)
      for (const caller of callers) caller.abort()
      expect((await Promise.all(attestations)).map(({ status }) => status)).toEqual(['CANCELLED', 'CANCELLED'])
      await until(() => agent.inFlight() === 0)
      agent.clearFaults()
      expectProof(await plugin.aid(), agent)
    },
  )

  it('does not wait where waiting does not help', async () => {
    const { keylime, agent, plugin } = await bench({ wait_for_agent: '1h' })
    const stranger = await keylime.pki.selfSigned('stranger', { ip: ['127.0.0.1'] })
    agent.setCertificate({ cert: stranger.pem, key: stranger.keyPem() })
    agent.dropConnections()
    expect(lineOf(await plugin.aid())).toMatch(/^INTERNAL /)
  })
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('condition not met within 20 s')
    await delay(20)
  }
}
