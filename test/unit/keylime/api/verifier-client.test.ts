import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VerifierClient } from '../../../../plugins/keylime/api/verifier-client.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { HashAlg } from '../../../../plugins/tpm/algorithms.ts'
import { type FakeKeylime, startFakeKeylime } from '../../../fakes/fake-keylime.ts'
import { answerWith, editResults, nginxError } from '../../../fakes/faults.ts'
import { newTestPki } from '../../../fakes/pki.ts'
import { recorded, recordedResults } from '../../../fakes/recorded.ts'
import { failureOf, originFor, startHttps } from '../https-fixture.ts'
import { playRecorded } from '../recorded-server.ts'

const pki = newTestPki()
afterAll(() => pki.remove())
let server: { cert: string; key: string }
let caFile: string
const real = parseAgentId('1d0cc2c1c1213b7c9391a275e06046eeda3aa3c86f6a3106ebada2f581dc2d47')

beforeAll(async () => {
  const root = await pki.root('Root')
  const leaf = await root.issue('verifier')
  server = { cert: leaf.chainPem, key: leaf.keyPem() }
  caFile = pki.write('root.crt', root.pem)
})

describe('VerifierClient, with the answers of a real verifier', { timeout: 30_000 }, () => {
  it('reads an agent', async () => {
    await using listener = await startHttps(server, playRecorded(['verifier-version', 'verifier-agent']))
    await using origin = originFor(listener.port, { files: { caFile } })
    expect(await new VerifierClient(origin).getAgent(real)).toEqual({
      agentId: real,
      operationalState: 3,
      attestationCount: 23,
      lastSuccessfulAttestation: 1_795_472_521,
      attestationStatus: 'PASS',
      maximumAttestationIntervalMs: 10_000,
      tpmPolicy: '{"mask": "0x0"}',
      hasRuntimePolicy: false,
      hasMbRefstate: false,
      acceptTpmHashAlgs: ['sha512', 'sha384', 'sha256'],
      ip: '127.0.0.1',
      port: 9002,
      receivedAt: 1_795_472_522,
    })
  })

  it('reads an agent whose record is damaged where nobody looks', async () => {
    const answer =
      '{"code":200,"status":"Success","results":{"operational_state":3,"tpm_policy":"{}","severity_level":"high","hash_alg":7}}'
    await using listener = await startHttps(server, (request, response) => {
      if (request.url === '/version') return playRecorded(['verifier-version'])(request, response)
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
    })
    await using origin = originFor(listener.port, { files: { caFile } })
    expect(await new VerifierClient(origin).getAgent(real)).toMatchObject({ operationalState: 3 })
  })

  it('lists the agents, each in a list of its own', async () => {
    await using listener = await startHttps(server, playRecorded(['verifier-version', 'verifier-agents']))
    await using origin = originFor(listener.port, { files: { caFile } })
    expect(await new VerifierClient(origin).getAgentIds()).toEqual([real])
  })

  it.each([
    ['verify-identity-valid', { valid: true }],
    [
      'verify-identity-other-nonce',
      { valid: false, reason: expect.stringContaining('differs from the expected nonce') as string },
    ],
    ['verify-identity-garbage-quote', { valid: false, reason: expect.stringContaining('unpack_from') as string }],
    ['verify-identity-bad-hash-alg', { valid: false, reason: expect.stringContaining('md5') as string }],
  ])('asks for an opinion exactly as recorded: %s', async (name, verdict) => {
    const query = new URL(recorded(name).request.split(' ')[1] ?? '', 'https://x').searchParams
    const seen: string[] = []
    await using listener = await startHttps(server, playRecorded(['verifier-version', name], seen))
    await using origin = originFor(listener.port, { files: { caFile } })
    const question = {
      agentId: parseAgentId(query.get('agent_uuid') ?? ''),
      quote: query.get('quote') ?? '',
      nonce: query.get('nonce') ?? '',
      hashAlg: query.get('hash_alg') as HashAlg,
    }
    expect(await new VerifierClient(origin).verifyIdentity(question)).toEqual(verdict)
    expect(seen).toEqual(['GET /version', recorded(name).request])
  })
})

describe('VerifierClient', { timeout: 30_000 }, () => {
  let keylime: FakeKeylime
  beforeAll(async () => {
    keylime = await startFakeKeylime({ nodes: 3 })
  })
  afterAll(() => keylime.close())

  function connect(which = keylime): { client: VerifierClient } & AsyncDisposable {
    const { caFile: ca, certFile, keyFile } = which
    const origin = originFor(which.verifier.port, { files: { caFile: ca, certFile, keyFile } })
    return { client: new VerifierClient(origin), [Symbol.asyncDispose]: () => origin.close() }
  }
  const idOf = (index = 0): ReturnType<typeof parseAgentId> => parseAgentId(keylime.node(index).agentId)

  it('reads all agents in one request, each as the single read gives it', async () => {
    await using verifier = connect()
    const all = await verifier.client.getAgents()
    expect(all.size).toBe(3)
    const alone = await verifier.client.getAgent(idOf(1))
    expect({ ...all.get(idOf(1)), receivedAt: 0 }).toEqual({ ...alone, receivedAt: 0 })
    expect(all.get(parseAgentId('nobody'))).toBeUndefined()
  })

  it('lets one malformed record of a bulk answer harm nobody else', async () => {
    await using verifier = connect()
    keylime.verifier.fail(
      'bulk',
      editResults((results) => ({ ...results, [idOf(0)]: { operational_state: 'three' } })),
      1,
    )
    const all = await verifier.client.getAgents()
    expect(all.get(idOf(1))?.operationalState).toBe(3)
    expect(() => all.get(idOf(0))).toThrow(
      expect.objectContaining({
        code: 'KEYLIME_BAD_RESPONSE',
        message: `${verifier.client.name} sends a record of agent ${idOf(0)} that is not as expected: operational_state: expected number, found a string`,
      }),
    )
  })

  it('keeps the secret key share out of what it gives and what it says', async () => {
    await using verifier = connect()
    const secret = 'c2VjcmV0LXNoYXJl'
    keylime.verifier.fail(
      'agent',
      editResults((results) => ({ ...results, v: secret })),
      1,
    )
    expect(JSON.stringify(await verifier.client.getAgent(idOf()))).not.toContain(secret)
    keylime.verifier.fail(
      'agent',
      editResults((results) => ({ ...results, v: secret, operational_state: secret })),
      1,
    )
    const { code, message, error } = await failureOf(verifier.client.getAgent(idOf()))
    expect(code).toBe('KEYLIME_BAD_RESPONSE')
    expect(`${message} ${JSON.stringify(error.facts)} ${String(error.cause)}`).not.toContain(secret)
  })

  it.each([
    ['a state that is text', { operational_state: '3' }, 'operational_state: expected number, found a string'],
    [
      'a broken count',
      { attestation_count: 1.5 },
      'attestation_count: expected a whole number, found a number that is not',
    ],
    ['no state', { operational_state: undefined }, 'operational_state: expected'],
    ['a list for the policy', { tpm_policy: [1] }, 'tpm_policy: expected'],
  ])('names the field of %s and not its value', async (_what, change, text) => {
    await using verifier = connect()
    keylime.verifier.fail(
      'agent',
      editResults((results) => ({ ...results, ...change })),
      1,
    )
    const { code, reason, message } = await failureOf(verifier.client.getAgent(idOf()))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_BAD_RESPONSE', reason: 'answer-shape' })
    expect(message).toContain(text)
  })

  it('reads the record of a push-mode agent, of a never attested one, and of one stored by another client', async () => {
    await using verifier = connect()
    const change = {
      ip: null,
      port: null,
      operational_state: null,
      hash_alg: null,
      attestation_status: 'PENDING',
      attestation_count: 0,
      last_successful_attestation: 0,
    }
    keylime.verifier.fail(
      'agent',
      editResults((results) => ({ ...results, ...change })),
      1,
    )
    const record = await verifier.client.getAgent(idOf())
    expect(record).toMatchObject({ operationalState: null, attestationStatus: 'PENDING', attestationCount: 0 })
    for (const field of ['ip', 'port', 'hashAlg', 'lastSuccessfulAttestation']) expect(record).not.toHaveProperty(field)
    keylime.verifier.fail(
      'agent',
      editResults((results) => ({ ...results, accept_tpm_hash_algs: 'sha256', port: '9002', has_mb_refstate: true })),
      1,
    )
    expect(await verifier.client.getAgent(idOf())).toMatchObject({
      acceptTpmHashAlgs: ['sha256'],
      port: 9002,
      hasMbRefstate: true,
    })
  })

  it('calls an agent it does not know unknown, and never a verdict', async () => {
    await using verifier = connect()
    const { code, message } = await failureOf(verifier.client.getAgent(parseAgentId('nobody')))
    expect(code).toBe('KEYLIME_AGENT_UNKNOWN')
    expect(message).toBe(
      `${verifier.client.name} does not know agent nobody ("agent id not found"); not enrolled there, or its database failed`,
    )
  })

  it('says that it is anonymous to the verifier when no certificate is configured', async () => {
    await using origin = originFor(keylime.verifier.port, { files: { caFile: keylime.caFile } })
    const { code, message } = await failureOf(new VerifierClient(origin).getAgent(idOf()))
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain('refuses us with 403 ("Action read_agent requires authentication")')
    expect(message).toContain('sent was no client certificate (none is configured)')
  })

  it.each([
    [nginxError(502), 'KEYLIME_UNAVAILABLE', 'with a page "502 Bad Gateway" from nginx/1.22.1'],
    [answerWith(500), 'KEYLIME_UNAVAILABLE', 'failed with 500'],
    [answerWith(429), 'KEYLIME_UNAVAILABLE', 'answers 429'],
    [{ kind: 'reset' }, 'KEYLIME_UNREACHABLE', 'closed the connection before an answer came'],
    [{ kind: 'close' }, 'KEYLIME_UNREACHABLE', 'closed the connection before an answer came'],
    [{ kind: 'truncate' }, 'KEYLIME_UNREACHABLE', 'closed the connection in the middle of its answer'],
    [{ kind: 'pad', bytes: 50 * 1024 * 1024 }, 'KEYLIME_BAD_RESPONSE', 'answers with more than 1048576 bytes'],
  ] as const)('names fault %# of the verifier [T93]', async (fault, wanted, text) => {
    await using verifier = connect()
    await verifier.client.getAgentIds()
    keylime.verifier.fail('agent', fault)
    const { code, message } = await failureOf(verifier.client.getAgent(idOf()))
    keylime.verifier.clearFaults()
    expect(code).toBe(wanted)
    expect(message).toContain(text)
  })

  it('speaks 2.6 with a verifier in push mode, which does not say so, or what below that it speaks [tpm:push:version-gone]', async () => {
    for (const versions of [undefined, ['2.5', '3.0'], ['2.1', '2.2']]) {
      await using push = await startFakeKeylime({ pushMode: true })
      if (versions !== undefined) push.verifier.setVersions(versions)
      await using verifier = connect(push)
      const agentId = parseAgentId(push.node().agentId)
      const record = await verifier.client.getAgent(agentId)
      expect(record).toMatchObject({ agentId, operationalState: 3, attestationStatus: 'PASS' })
      expect(record).not.toHaveProperty('ip')
      // The version that was found is kept.
      await verifier.client.getAgent(agentId)
    }
  })

  it('says that a verifier in push mode speaks no version of ours', async () => {
    await using push = await startFakeKeylime({ pushMode: true })
    push.verifier.setVersions(['3.0'])
    await using verifier = connect(push)
    const { code, reason } = await failureOf(verifier.client.getAgent(parseAgentId(push.node().agentId)))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_API_UNSUPPORTED', reason: 'api-version' })
  })

  it.each(['7.11', '7.12', '7.13', '7.14.0', '7.14.2', '7.14.3'] as const)(
    'speaks with Keylime %s [T82] [P18]',
    async (release) => {
      await using other = await startFakeKeylime({ release })
      await using verifier = connect(other)
      expect(await verifier.client.getAgent(parseAgentId(other.node().agentId))).toMatchObject({ operationalState: 3 })
    },
  )

  it('says that Keylime 7.10 has no identity check [T82]', async () => {
    await using old = await startFakeKeylime({ release: '7.10' })
    await using verifier = connect(old)
    const question = { agentId: parseAgentId(old.node().agentId), quote: 'r', nonce: 'N', hashAlg: 'sha256' } as const
    const { code, message } = await failureOf(verifier.client.verifyIdentity(question))
    expect(code).toBe('KEYLIME_API_UNSUPPORTED')
    expect(message).toBe(`${verifier.client.name} speaks API 2.1 at most, and verify_identity needs 2.2 or newer`)
  })

  it('negotiates once, and again when the verifier is replaced under it [T82] [P18]', async () => {
    await using verifier = connect()
    keylime.verifier.resetStats()
    await Promise.all([0, 1, 2].map((index) => verifier.client.getAgent(idOf(index))))
    expect(keylime.verifier.stats.requests).toEqual({ version: 1, agent: 3 })
    const versions = recordedResults('verifier-version')['supported_versions'] as string[]
    keylime.verifier.setVersions(['2.0', '2.1', '2.2'])
    expect((await verifier.client.getAgent(idOf())).operationalState).toBe(3)
    expect(keylime.verifier.seen.at(-1)).toContain('/v2.2/')
    keylime.verifier.setVersions(['3.0'])
    const { code, message } = await failureOf(verifier.client.getAgent(idOf()))
    expect(code).toBe('KEYLIME_API_UNSUPPORTED')
    expect(message).toContain('speaks API 3.0; expected one of 2.1')
    keylime.verifier.setVersions(versions)
    expect((await verifier.client.getAgent(idOf())).operationalState).toBe(3)
  })

  it('waits for a negotiation of others only as long as its own caller does', async () => {
    await using verifier = connect()
    keylime.verifier.fail('version', { kind: 'hang' }, 1)
    const caller = new AbortController()
    const first = failureOf(verifier.client.getAgent(idOf(), { signal: caller.signal }))
    caller.abort()
    expect((await first).code).toBe('KEYLIME_CANCELLED')
    keylime.verifier.clearFaults()
  })
})
