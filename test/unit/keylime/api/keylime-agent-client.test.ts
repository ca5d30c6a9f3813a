import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KeylimeAgentClient } from '../../../../plugins/keylime/api/keylime-agent-client.ts'
import { type FakeKeylime, type FakeNodeAgent, startFakeKeylime } from '../../../fakes/fake-keylime.ts'
import { recordedResults } from '../../../fakes/recorded.ts'
import { failureOf, originFor, startHttp } from '../https-fixture.ts'
import { playRecorded } from '../recorded-server.ts'

const NONCE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

describe('KeylimeAgentClient, with the answers of a real agent', { timeout: 30_000 }, () => {
  it('asks who it is, and for a quote over a nonce', async () => {
    const seen: string[] = []
    await using listener = await startHttp(playRecorded(['agent-version', 'agent-info-v2.6', 'agent-quote'], seen))
    await using origin = originFor(listener.port, { role: 'keylime agent' })
    const client = new KeylimeAgentClient(origin)
    expect(await client.getInfo()).toEqual({
      agentId: '1d0cc2c1c1213b7c9391a275e06046eeda3aa3c86f6a3106ebada2f581dc2d47',
      hashAlg: 'sha256',
    })
    const wire = recordedResults('agent-quote')
    expect(await client.getIdentityQuote(NONCE)).toEqual({
      quote: wire['quote'],
      hashAlg: 'sha256',
      pubkey: wire['pubkey'],
    })
    expect(seen).toEqual(['GET /version', 'GET /v2.6/agent/info', `GET /v2.6/quotes/identity?nonce=${NONCE}`])
  })

  it.each([
    ['a-b!c', 'agent-quote-bad-nonce', 'Parameters should be strictly alphanumeric: (nonce)'],
    ['A'.repeat(65), 'agent-quote-long-nonce', 'Nonce is too long (max size 64): (nonce)'],
  ])('passes on the refusal of nonce %s without the nonce', async (nonce, name, text) => {
    await using listener = await startHttp((request, response) => {
      // The recorded request line has the nonce unescaped.
      request.url = decodeURIComponent(request.url ?? '')
      playRecorded(['agent-version', name])(request, response)
    })
    await using origin = originFor(listener.port, { role: 'keylime agent' })
    const { code, message } = await failureOf(new KeylimeAgentClient(origin).getIdentityQuote(nonce))
    expect(code).toBe('KEYLIME_BAD_RESPONSE')
    expect(message).toContain(text)
    expect(message).not.toContain(nonce)
  })
})

describe('KeylimeAgentClient', { timeout: 30_000 }, () => {
  let keylime: FakeKeylime
  let agent: FakeNodeAgent
  beforeAll(async () => {
    keylime = await startFakeKeylime()
    agent = await keylime.startAgent()
  })
  afterAll(() => keylime.close())

  it('speaks mutual TLS with an agent that certifies itself [T22] [T74]', async () => {
    const files = { caFile: agent.caFile, certFile: agent.clientCertFile, keyFile: agent.clientKeyFile }
    await using origin = originFor(agent.port, { role: 'keylime agent', files })
    expect((await new KeylimeAgentClient(origin).getInfo()).agentId).toBe(keylime.node().agentId)
  })

  it('says that the agent demands a client certificate', async () => {
    await using origin = originFor(agent.port, { role: 'keylime agent', files: { caFile: agent.caFile } })
    const { code, message } = await failureOf(new KeylimeAgentClient(origin).getInfo())
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain('demands a client certificate, and none is configured')
  })

  it('says that the agent does not trust the issuer of a certificate that the verifier would take [P09]', async () => {
    const { certFile, keyFile } = keylime
    await using origin = originFor(agent.port, {
      role: 'keylime agent',
      files: { caFile: agent.caFile, certFile, keyFile },
    })
    const { code, message } = await failureOf(new KeylimeAgentClient(origin).getInfo())
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain('closed the connection after our certificate')
    expect(message).toContain('CN=client (issued by CN=Keylime Certificate Authority')
  })

  it('refuses an agent of another CA [T22]', async () => {
    await using origin = originFor(agent.port, { role: 'keylime agent', files: { caFile: keylime.caFile } })
    const { code, message } = await failureOf(new KeylimeAgentClient(origin).getInfo())
    expect(code).toBe('KEYLIME_PEER_UNTRUSTED')
    expect(message).toContain('presents a self-signed certificate')
    expect(message).toContain('add it there if it is the right one')
  })

  it('says that an agent of API 2.1 cannot say who it is, and still quotes [T82]', async () => {
    await using old = await startHttp((request, response) => {
      const isVersion = request.url === '/version'
      const isQuote = request.url?.startsWith('/v2.1/quotes/identity?nonce=') === true
      const results = isVersion ? { supported_version: '2.1' } : { quote: 'rX', hash_alg: 'sha256' }
      response.writeHead(isVersion || isQuote ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ code: 200, status: 'Success', results }))
    })
    await using origin = originFor(old.port, { role: 'keylime agent' })
    const client = new KeylimeAgentClient(origin)
    expect(await client.hasInfo()).toBe(false)
    const { code, message } = await failureOf(client.getInfo())
    expect(code).toBe('KEYLIME_API_UNSUPPORTED')
    expect(message).toContain('speaks API 2.1 at most, and get_info needs 2.2 or newer')
    expect(await client.getIdentityQuote(NONCE)).toEqual({ quote: 'rX', hashAlg: 'sha256' })
  })

  it('keeps the kind of a failure whose text repeats the nonce', async () => {
    await using busy = await startHttp((request, response) => {
      const isVersion = request.url === '/version'
      const status = isVersion ? 200 : 503
      response.writeHead(status, { 'content-type': 'application/json' })
      const results = isVersion ? { supported_versions: ['2.6'] } : {}
      response.end(JSON.stringify({ code: status, status: `TPM is busy, nonce ${NONCE}`, results }))
    })
    await using origin = originFor(busy.port, { role: 'keylime agent' })
    const { code, reason, message } = await failureOf(new KeylimeAgentClient(origin).getIdentityQuote(NONCE))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_UNAVAILABLE', reason: 'server-error' })
    expect(message).toContain('failed with 503 ("TPM is busy, nonce (nonce)")')
  })

  it.each([
    [{ agent_uuid: '../etc', tpm_hash_alg: 'sha256' }, 'agent_uuid: expected a usable agent id'],
    [{ tpm_hash_alg: 'sha256' }, 'agent_uuid: expected'],
    [{ agent_uuid: 'x', tpm_hash_alg: 'SHA 256' }, 'tpm_hash_alg: expected the name of a hash algorithm'],
  ])('refuses an agent that describes itself as %j', async (results, text) => {
    await using listener = await startHttp((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const body = request.url === '/version' ? { supported_versions: ['2.2'] } : results
      response.end(JSON.stringify({ code: 200, status: 'Success', results: body }))
    })
    await using origin = originFor(listener.port, { role: 'keylime agent' })
    const { code, message } = await failureOf(new KeylimeAgentClient(origin).getInfo())
    expect(code).toBe('KEYLIME_BAD_RESPONSE')
    expect(message).toContain(text)
  })
})
