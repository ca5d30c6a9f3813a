import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KeylimeAgentClient } from '../../../plugins/keylime/api/keylime-agent-client.ts'
import { RegistrarClient } from '../../../plugins/keylime/api/registrar-client.ts'
import { VerifierClient } from '../../../plugins/keylime/api/verifier-client.ts'
import { parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import type { TlsFiles } from '../../../plugins/keylime/tls-files/file-names.ts'
import { loadTlsFiles } from '../../../plugins/keylime/tls-files/tls-files.ts'
import { fixedTls } from '../../../plugins/keylime/tls-files/tls-watch.ts'
import { type FakeKeylime, startFakeKeylime } from '../../fakes/fake-keylime.ts'
import { answerWith, editResults, nginxError } from '../../fakes/faults.ts'
import { hasOpenssl } from '../../fakes/openssl-pki.ts'
import type { TestCa } from '../../fakes/pki.ts'
import { failureOf, freePort, originFor, startHttps } from './https-fixture.ts'
import { startOpenssl } from './openssl-server.ts'

let keylime: FakeKeylime
let root: TestCa
let book: TestCa
let caFile: string
let serverFiles: { certFile: string; keyFile: string }

beforeAll(async () => {
  keylime = await startFakeKeylime()
  root = await keylime.pki.root('Eye of Thundera')
  book = await root.intermediate('Book of Omens')
  caFile = keylime.pki.write('eye.crt', root.pem)
  serverFiles = keylime.pki.writePair('openssl', await book.issue('server'))
})
afterAll(() => keylime.close())

/** Asks `openssl s_server` that demands certificates of a CA. */
async function askOpenssl(
  trusted: string,
  tls: string,
  files: TlsFiles,
  now = Date.now(),
): Promise<Awaited<ReturnType<typeof failureOf>>> {
  const { certFile, keyFile } = serverFiles
  await using server = await startOpenssl([
    '-cert',
    certFile,
    '-cert_chain',
    certFile,
    '-key',
    keyFile,
    '-CAfile',
    trusted,
    '-Verify',
    '3',
    '-verify_return_error',
    tls,
  ])
  const { material, problems } = loadTlsFiles({ caFile, ...files }, { now })
  if (material === undefined) throw new Error(problems.join('; '))
  await using origin = originFor(server.port, { tls: fixedTls(material) })
  return await failureOf(origin.request('/'))
}

/** Asks the fake verifier for its node. */
async function askVerifier(): Promise<Awaited<ReturnType<typeof failureOf>>> {
  const { caFile: ca, certFile, keyFile } = keylime
  await using origin = originFor(keylime.verifier.port, { files: { caFile: ca, certFile, keyFile } })
  return await failureOf(new VerifierClient(origin).getAgent(parseAgentId(keylime.node().agentId)))
}

describe.skipIf(!hasOpenssl)(
  'what a server built on OpenSSL says of our certificate (needs openssl)',
  { timeout: 30_000 },
  () => {
    const versions = ['-tls1_2', '-tls1_3']

    it.each(versions)(
      '"remote error: tls: unknown certificate authority": which certificate, issued by whom (%s) [P07]',
      async (version) => {
        const client = keylime.pki.writePair('stranger', await (await keylime.pki.root('Stranger')).issue('spire'))
        const { code, reason, message } = await askOpenssl(caFile, version, client)
        expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-issuer' })
        expect(message).toContain(
          'closed the connection after our certificate: it does not trust its issuer; sent was our client certificate CN=spire (issued by CN=Stranger',
        )
        expect(message).toContain('add CN=Stranger to the client CAs it trusts')
      },
    )

    it.each(versions)('no certificate where one is demanded (%s)', async (version) => {
      const { code, reason, message } = await askOpenssl(caFile, version, {})
      expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-missing' })
      expect(message).toContain('demands a client certificate, and none is configured')
    })

    it.each(versions)('a certificate that expired while we ran (%s) [P10] [P13]', async (version) => {
      const begin = Date.now() - 86_400_000
      const validity = { notBefore: new Date(begin), notAfter: new Date(begin + 3_600_000) }
      const client = keylime.pki.writePair('ran-out', await book.issue('spire', { validity }))
      const { code, reason, message } = await askOpenssl(caFile, version, client, begin + 60_000)
      expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-expired' })
      expect(message).toContain(
        'says that our certificate has expired; sent was our client certificate CN=spire (issued by CN=Book of Omens, expires 2',
      )
    })

    it.each(versions)('a certificate for servers only (%s) [P08]', async (version) => {
      const client = keylime.pki.writePair('server-only', await book.issue('agent', { eku: ['serverAuth'] }))
      const { code, reason, message } = await askOpenssl(caFile, version, client)
      expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-usage' })
      expect(message).toContain(
        'refuses our certificate for client use (its extended key usage must include clientAuth',
      )
    })

    it.each(versions)(
      'a chain without its intermediate, which only the root vouches for (%s) [P21]',
      async (version) => {
        const leaf = await book.issue('spire')
        const certFile = keylime.pki.write('leaf-only.crt', leaf.pem)
        const keyFile = keylime.pki.write('leaf-only.key', leaf.keyPem())
        const { code, message } = await askOpenssl(caFile, version, { certFile, keyFile })
        expect(code).toBe('KEYLIME_CLIENT_REFUSED')
        expect(message).toContain('closed the connection after our certificate: it does not trust its issuer')
        expect(message).toContain('add CN=Book of Omens to the client CAs it trusts')
      },
    )
  },
)

describe('an error an operator has met', { timeout: 30_000 }, () => {
  it('"Certificate validation failed", "unable to get issuer certificate": which issuer is missing in which file [P11]', async () => {
    const leaf = await book.issue('verifier')
    await using server = await startHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
    await using origin = originFor(server.port, { files: { caFile: keylime.caFile } })
    const { code, message } = await failureOf(origin.request('/'))
    expect(code).toBe('KEYLIME_PEER_UNTRUSTED')
    expect(message).toContain(`its issuer CN=Eye of Thundera is not in CA file ${keylime.caFile}; add it there`)
  })

  it('"unable to verify the first certificate" (21): the server sends its leaf only [P11]', async () => {
    const leaf = await book.issue('verifier')
    await using server = await startHttps({ cert: leaf.pem, key: leaf.keyPem() })
    await using origin = originFor(server.port, { files: { caFile } })
    const { code, message } = await failureOf(origin.request('/'))
    expect(code).toBe('KEYLIME_PEER_UNTRUSTED')
    expect(message).toContain(
      `sends only its leaf CN=verifier; its issuer CN=Book of Omens is not in CA file ${caFile}: add it there or, if it is an intermediate, let the server send its chain`,
    )
  })

  it('"Keylime agent does not recognize mTLS certificate": the agent does not trust the caller', async () => {
    const agent = await keylime.startAgent()
    const { certFile, keyFile } = keylime
    await using origin = originFor(agent.port, {
      role: 'keylime agent',
      files: { caFile: agent.caFile, certFile, keyFile },
    })
    const { code, message } = await failureOf(new KeylimeAgentClient(origin).getInfo())
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain(
      `sent was our client certificate CN=client (issued by CN=Keylime Certificate Authority, expires`,
    )
  })

  it('"No required SSL certificate was sent": nginx in front wants one', async () => {
    keylime.verifier.fail('agent', nginxError(400), 1)
    const { code, message } = await askVerifier()
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain('has a proxy in front (nginx) that demands a client certificate and got none')
  })

  it('"Action read_agent requires authentication": we are anonymous to Keylime 7.14', async () => {
    await using origin = originFor(keylime.verifier.port, { files: { caFile: keylime.caFile } })
    const { code, message } = await failureOf(new VerifierClient(origin).getAgent(parseAgentId('x')))
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain(
      'it does not take us for an administrator; sent was no client certificate (none is configured); Keylime wants one with a common name from a CA in its trusted_client_ca',
    )
  })

  it('"agent id not found": not enrolled, or its database failed', async () => {
    keylime.verifier.fail(
      'agent',
      answerWith(404, '{"code": 404, "status": "agent id not found", "results": {}}', 'application/json'),
      1,
    )
    const { code, message } = await askVerifier()
    expect(code).toBe('KEYLIME_AGENT_UNKNOWN')
    expect(message).toContain('("agent id not found"); not enrolled there, or its database failed')
  })

  it('"AllAPIVersionsRejected": plain HTTP spoken to an HTTPS port', async () => {
    const agent = await keylime.startAgent()
    await using origin = originFor(agent.port, { role: 'keylime agent', settings: { useTls: 'keylime_agent_use_tls' } })
    const { message } = await failureOf(new KeylimeAgentClient(origin).getInfo())
    expect(message).toContain('set keylime_agent_use_tls = true')
  })

  it('"ak_tpm not found in registrar response": the field is aik_tpm [P18]', async () => {
    keylime.registrar.fail(
      'agent',
      editResults(({ aik_tpm, ...results }) => ({ ...results, ak_tpm: aik_tpm })),
      1,
    )
    const { caFile: ca, certFile, keyFile } = keylime
    await using origin = originFor(keylime.registrar.port, {
      role: 'keylime registrar',
      files: { caFile: ca, certFile, keyFile },
    })
    const { code, message } = await failureOf(
      new RegistrarClient(origin).getAgent(parseAgentId(keylime.node().agentId)),
    )
    expect(code).toBe('KEYLIME_BAD_RESPONSE')
    expect(message).toContain('aik_tpm: expected')
  })

  it('"connect: connection refused": which service is not there', async () => {
    const port = await freePort()
    await using origin = originFor(port)
    const { code, message } = await failureOf(origin.request('/'))
    expect(code).toBe('KEYLIME_UNREACHABLE')
    expect(message).toContain(`keylime verifier 127.0.0.1:${port} refused the connection: nothing listens there`)
  })
})
