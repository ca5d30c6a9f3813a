import { existsSync, readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeKeylime, type FakeNodeAgent, hcl, startFakeKeylime } from './fake-keylime.ts'
import { spawnFakeKeylime } from './fake-keylime-process.ts'
import { startFakeRegistrar } from './fake-registrar.ts'
import { startFakeVerifier } from './fake-verifier.ts'
import { type HttpsGetOptions, httpsGet } from './https-get.ts'
import { checkQuote } from './quote-check.ts'
import { recorded, recordedResults } from './recorded.ts'

const NONCE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const registered = recordedResults('registrar-agent')
const AGENT_ID = String(registered['agent_id'])
const RECORDED_AK = Buffer.from(String(registered['aik_tpm']), 'base64')

let keylime: FakeKeylime
let agent: FakeNodeAgent
let admin: HttpsGetOptions
let anonymous: HttpsGetOptions
let spire: HttpsGetOptions

beforeAll(async () => {
  keylime = await startFakeKeylime({ now: () => Date.parse(recorded('verifier-agent').date) })
  agent = await keylime.startAgent()
  anonymous = { ca: read(keylime.caFile) }
  admin = { ...anonymous, cert: read(keylime.certFile), key: read(keylime.keyFile) }
  spire = { ca: read(agent.caFile), cert: read(agent.clientCertFile), key: read(agent.clientKeyFile) }
  keylime.verifier.enrol(AGENT_ID, RECORDED_AK)
  keylime.registrar.register({ ...registered, agent_id: AGENT_ID } as never)
})
afterAll(() => keylime.close())

const read = (file: string): string => readFileSync(file, 'utf8')
const path = (name: string): string => recorded(name).request.replace(/^GET /, '')
const seen = ({ status, contentType, body }: { status: number; contentType: string | undefined; body: string }) => ({
  status,
  contentType,
  body,
})
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'answered',
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )

describe('startFakeVerifier', () => {
  it.each([
    'verifier-version',
    'verifier-agent',
    'verifier-agent-unknown',
    'verifier-agent-bad-version',
    'verify-identity-valid',
    'verify-identity-other-nonce',
    'verify-identity-bad-hash-alg',
    'verify-identity-garbage-quote',
    'verify-identity-missing-quote',
    'verify-identity-unknown-agent',
  ])('answers as the real one did: %s', async (name) => {
    const answer = await httpsGet(keylime.verifier.url + path(name), admin)
    expect(seen(answer)).toEqual(seen(recorded(name)))
    expect(answer.date).toBe(recorded(name).date)
  })

  it('answers as the real one did: verifier-agents', async () => {
    keylime.verifier.remove(keylime.node().agentId)
    const answer = await httpsGet(keylime.verifier.url + path('verifier-agents'), admin)
    keylime.verifier.enrol(keylime.node().agentId, keylime.node().tpm.akTpm)
    expect(seen(answer)).toEqual(seen(recorded('verifier-agents')))
  })

  it('refuses callers without a certificate as the real one did, except for what is public', async () => {
    const { url } = keylime.verifier
    const refused = await httpsGet(url + path('verifier-agent'), anonymous)
    expect(seen(refused)).toEqual(seen(recorded('verifier-agent-no-cert')))
    expect(await httpsGet(`${url}/version`, anonymous)).toMatchObject({ status: 200 })
    expect(await httpsGet(url + path('verify-identity-valid'), anonymous)).toMatchObject({ status: 200 })
  })

  it('ends the connection of a client whose certificate another CA issued', async () => {
    const stranger = await (await keylime.pki.root('Stranger')).issue('client')
    const options = { ...anonymous, cert: stranger.pem, key: stranger.keyPem() }
    expect(await code(httpsGet(`${keylime.verifier.url}/version`, options))).toBe('ECONNRESET')
    expect(keylime.verifier.stats.refusedClients).toBe(1)
  })

  it('demands a certificate for everything before 7.14.0', async () => {
    const server = await keylime.ca.issue('server')
    const tls = { cert: server.pem, key: server.keyPem(), ca: keylime.ca.pem }
    const old = await startFakeVerifier({ release: '7.13', tls })
    expect(await code(httpsGet(`${old.url}/version`, anonymous))).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/)
    const answer = await httpsGet(`${old.url}/v2.6/agents/x`, admin)
    expect(answer).toMatchObject({
      status: 400,
      body: '{"code": 400, "status": "API Version not supported", "results": {}}',
    })
    old.enrol('x', RECORDED_AK)
    const record = await httpsGet(`${old.url}/v2.4/agents/x`, admin)
    expect(record.body).not.toContain('attestation_status')
    await old.close()
  })

  it('says gone in push mode, 500 without a body under /v3.0, and stops an agent when told', async () => {
    const push = await startFakeVerifier({ pushMode: true })
    const gone = await httpsGet(`${push.url}/version`)
    expect(gone).toMatchObject({ status: 410, body: '{"code": 410, "status": "Gone", "results": {}}' })
    await push.close()
    const { url } = keylime.verifier
    const v3 = await httpsGet(`${url}/v3.0/agents/${AGENT_ID}`, admin)
    expect(v3).toMatchObject({ status: 500, contentType: 'text/html; charset=UTF-8', body: '' })
    const id = keylime.node().agentId
    await httpsGet(`${url}/v2.6/agents/${id}/stop`, { ...admin, method: 'PUT' })
    const stopped = await httpsGet(`${url}/v2.6/agents/${id}`, admin)
    expect(stopped.body).toMatch(/"operational_state": 10, .*"attestation_status": "FAIL"/)
    keylime.verifier.set(id, { operational_state: 3 })
  })

  it('reads all agents at once, and shows what the test sets', async () => {
    const { verifier } = keylime
    verifier.set(AGENT_ID, { operational_state: 7, last_event_id: 'internal.verifier.not_reachable', v: undefined })
    const bulk = await httpsGet(`${verifier.url}/v2.6/agents/?bulk=True`, admin)
    const { results } = JSON.parse(bulk.body) as { results: Record<string, Record<string, unknown>> }
    expect(Object.keys(results).toSorted()).toEqual([AGENT_ID, keylime.node().agentId].toSorted())
    expect(results[AGENT_ID]).toMatchObject({ operational_state: 7, attestation_status: 'FAIL' })
    expect(results[AGENT_ID]).not.toHaveProperty('v')
    verifier.enrol(AGENT_ID, RECORDED_AK)
  })

  it('changes versions and turns gullible while it runs', async () => {
    const { verifier } = keylime
    verifier.setVersions(['2.2'])
    const older = await httpsGet(`${verifier.url}/v2.6/agents/${AGENT_ID}`, admin)
    expect(older.status).toBe(404)
    verifier.setVersions(['2.6'])
    verifier.setGullible(true)
    const other = await httpsGet(verifier.url + path('verify-identity-other-nonce'), admin)
    expect(other.body).toContain('"valid": 1')
    verifier.setGullible(false)
  })

  it('counts resumed TLS sessions and shows a new certificate to new connections', async () => {
    const { verifier } = keylime
    verifier.resetStats()
    const agentWithSessions = new Agent({ maxCachedSessions: 10 })
    for (let round = 0; round < 3; round += 1) {
      await httpsGet(`${verifier.url}/version`, { ...admin, agent: agentWithSessions })
    }
    expect(verifier.stats).toMatchObject({ connections: 3, resumedSessions: 2 })
    const expired = await keylime.ca.issue('server', { validity: 'expired' })
    verifier.setCertificate({ cert: expired.pem, key: expired.keyPem() })
    expect(await code(httpsGet(`${verifier.url}/version`, admin))).toBe('CERT_HAS_EXPIRED')
  })
})

describe('startFakeRegistrar', () => {
  it.each(['registrar-version', 'registrar-agent', 'registrar-agent-unknown'])(
    'answers as the real one did: %s',
    async (name) => {
      const answer = await httpsGet(keylime.registrar.url + path(name), admin)
      expect(seen(answer)).toEqual(seen(recorded(name)))
    },
  )

  it('answers as the real one did: registrar-agents', async () => {
    const alone = await startFakeRegistrar()
    const refused = await httpsGet(`${alone.url}/v2.6/agents/`)
    expect(refused.status).toBe(403)
    await alone.close()
    keylime.registrar.remove(keylime.node().agentId)
    const answer = await httpsGet(keylime.registrar.url + path('registrar-agents'), admin)
    expect(seen(answer)).toEqual(seen(recorded('registrar-agents')))
  })
})

describe('startFakeAgent', () => {
  it.each([
    'agent-version',
    'agent-quote-bad-nonce',
    'agent-quote-long-nonce',
    'agent-quote-missing-nonce',
    'agent-unknown-path',
    'agent-unknown-version',
    'agent-info-v2.2',
    'agent-info-v2.4',
    'agent-info-v2.5',
    'agent-info-v2.6',
  ])('answers as the real one did: %s', async (name) => {
    agent.setAgentId(AGENT_ID)
    const answer = await httpsGet(agent.url + path(name), spire)
    expect(seen(answer)).toEqual(seen(recorded(name)))
  })

  it('answers a quote of the real shape that verifies', async () => {
    const answer = await httpsGet(agent.url + path('agent-quote'), spire)
    const real = recordedResults('agent-quote')
    const made = (JSON.parse(answer.body) as { results: Record<string, string> }).results
    expect(Object.keys(made)).toEqual(Object.keys(real))
    expect(answer.body).toHaveLength(recorded('agent-quote').body.length)
    expect({ ...made, quote: '', pubkey: '' }).toEqual({ ...real, quote: '', pubkey: '' })
    const ask = { quote: made['quote'] ?? '', nonce: NONCE, hashAlg: 'sha256', akTpm: agent.tpm.akTpm }
    expect(checkQuote(ask)).toEqual({ valid: 1 })
  })

  it('lets nobody in without a client certificate it trusts, not even to /version', async () => {
    const { ca } = spire
    expect(await code(httpsGet(`${agent.url}/version`, { ca }))).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/)
    const wrong = { ...spire, cert: admin.cert, key: admin.key } as HttpsGetOptions
    expect(await code(httpsGet(`${agent.url}/version`, wrong))).toMatch(/ECONNRESET|EPIPE/)
  })

  it('answers a TLS session that is taken up again with an alert, as the real one does', async () => {
    const sessions = new Agent({ maxCachedSessions: 10 })
    expect((await httpsGet(`${agent.url}/version`, { ...spire, agent: sessions })).status).toBe(200)
    const again = httpsGet(`${agent.url}/version`, { ...spire, agent: sessions })
    await expect(again).rejects.toThrow(/alert internal error/)
  })

  it('knows no /agent/info at API 2.1', async () => {
    const answer = await httpsGet(`${agent.url}/v2.1/agent/info`, spire)
    expect(seen(answer)).toEqual(seen(recorded('agent-unknown-path')))
  })
})

describe('startFakeKeylime', () => {
  it('makes thousands of nodes that share a few TPMs, and removes its files', async () => {
    const many = await startFakeKeylime({ nodes: 3000, tpms: 2, ak: 'ec-p256' })
    const node = many.node(2999)
    expect(new Set(many.nodes.map(({ agentId }) => agentId)).size).toBe(3000)
    const challenge = Buffer.from(JSON.stringify({ Nonce: Buffer.from(NONCE).toString('base64') }))
    const { TPMQuote } = JSON.parse(node.respond(challenge).toString()) as { TPMQuote: string }
    const quote = Buffer.from(TPMQuote, 'base64').toString()
    expect(checkQuote({ quote, nonce: NONCE, hashAlg: 'sha256', akTpm: node.tpm.akTpm })).toEqual({ valid: 1 })
    await many.close()
    expect(existsSync(many.pki.folder)).toBe(false)
  })

  it('writes configuration that both halves read', () => {
    expect(keylime.serverHcl({ enforce: false })).toMatch(
      /^keylime_verifier_host = "127.0.0.1"\n.*\nenforce = false\n$/s,
    )
    expect(agent.agentHcl()).toContain('keylime_agent_use_tls = true\n')
    expect(hcl({ list: ['a', 'b'], n: 1 })).toBe('list = ["a","b"]\nn = 1\n')
  })

  it('runs as a process of its own whose nodes this process can play', async () => {
    const other = await spawnFakeKeylime({ nodes: 2, tpms: 2, ak: 'ec-p256', agents: 1 })
    const { ready } = other
    const options = { ca: read(ready.caFile), cert: read(ready.certFile), key: read(ready.keyFile) }
    const base = `https://127.0.0.1:${ready.verifiers[0]?.port}/v2.6`
    const [node] = other.nodes
    const quote = node?.tpm.quote(NONCE) ?? ''
    const query = new URLSearchParams({ agent_uuid: node?.agentId ?? '', hash_alg: 'sha256', nonce: NONCE, quote })
    const answer = await httpsGet(`${base}/verify/identity?${query.toString()}`, options)
    expect(answer.body).toContain('"valid": 1')
    expect(await other.stats()).toMatchObject({ verifiers: [{ requests: { identity: 1 } }] })
    await other.resetStats()
    expect(await other.stats()).toMatchObject({ verifiers: [{ requests: {} }] })
    await other.stop()
    expect(existsSync(ready.nodesFile)).toBe(false)
  })
})
