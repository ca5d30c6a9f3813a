import type { RequestListener } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VerifierAdmin } from '../../../../plugins/keylime/admin/verifier-admin.ts'
import { RegistrarClient } from '../../../../plugins/keylime/api/registrar-client.ts'
import { VerifierClient } from '../../../../plugins/keylime/api/verifier-client.ts'
import { FAILURES } from '../../../../plugins/keylime/basis/failure-kinds.ts'
import { type FailureReason, failureReason } from '../../../../plugins/keylime/basis/failures.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { HttpsOriginOptions } from '../../../../plugins/keylime/https/http.ts'
import { explainConnectFailure } from '../../../../plugins/keylime/https/network-failures.ts'
import type { TlsFiles } from '../../../../plugins/keylime/tls-files/file-names.ts'
import { newTestPki, type TestCa } from '../../../fakes/pki.ts'
import { failureOf, freePort, originFor, startHttp, startHttps, startTcp } from '../https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())
let root: TestCa
let book: TestCa
let server: { cert: string; key: string }
let files: { caFile: string; certFile: string; keyFile: string }

beforeAll(async () => {
  root = await pki.root('Root')
  book = await root.intermediate('Book of Omens')
  const leaf = await book.issue('verifier')
  server = { cert: leaf.chainPem, key: leaf.keyPem() }
  files = { caFile: pki.write('root.crt', root.pem), ...pki.writePair('client', await book.issue('spire')) }
})

type Outcome = Awaited<ReturnType<typeof failureOf>>

/** Asks a server for an agent as the verifier client does. */
async function ask(
  port: number,
  options: Partial<HttpsOriginOptions> & { readonly files?: TlsFiles } = { files },
): Promise<Outcome> {
  await using origin = originFor(port, options)
  return await failureOf(new VerifierClient(origin).getAgent(parseAgentId('node')))
}

/** Asks an HTTPS server whose certificate or settings are special. */
async function askHttps(
  options: object,
  listener?: RequestListener,
  asking: Partial<HttpsOriginOptions> & { readonly files?: TlsFiles } = { files },
): Promise<Outcome> {
  await using listening = await startHttps({ ...server, ...options }, listener)
  return await ask(listening.port, asking)
}

/** Asks a server that negotiates 2.6 and then answers something of its own. */
function askAnswering(
  status: number,
  body = '',
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<Outcome> {
  return askHttps({}, (request, response) => {
    if (request.url === '/version') {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"results": {"supported_versions": ["2.6"]}}')
    } else {
      response.writeHead(status, headers)
      response.end(body)
    }
  })
}

/** Asks a server that answers the TLS greeting with a fatal alert. */
async function askAlert(alert: number, asking: TlsFiles = files): Promise<Outcome> {
  await using listening = await startTcp((socket) =>
    socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, alert]))),
  )
  return await ask(listening.port, { files: asking })
}

const page = (title: string): string => `<html><head><title>${title}</title></head></html>`
const html = { 'content-type': 'text/html', server: 'nginx/1.26.3' }

/** Brings about each way of failing, as it would come about in operation. */
const CAUSES: Readonly<Record<FailureReason, () => Promise<Outcome>>> = {
  refused: async () => await ask(await freePort()),
  dns: () => ask(8881, { files, host: 'verifier.invalid' }),
  'no-route': () => {
    const peer = {
      role: 'keylime verifier',
      host: '10.9.9.9',
      port: 8881,
      tls: true,
      expectedName: '10.9.9.9',
      settings: {},
    }
    const error = Object.assign(new Error('connect EHOSTUNREACH'), { code: 'EHOSTUNREACH' })
    return failureOf(Promise.reject(explainConnectFailure(error, { peer, timeoutMs: 1 })))
  },
  reset: () => askHttps({}, (request) => request.socket.destroy()),
  timeout: () => askHttps({}, () => undefined, { files, timeoutMs: 50 }),
  'queue-full': () => askHttps({}, () => undefined, { files, maxConnections: 0, maxWaiting: 0 }),
  cancelled: async () => {
    await using origin = originFor(await freePort(), { files })
    return await failureOf(origin.request('/x', { signal: AbortSignal.abort() }))
  },
  'tls-not-spoken': async () => {
    await using listening = await startHttp()
    return await ask(listening.port)
  },
  'tls-expected': async () => {
    await using listening = await startTcp((socket) =>
      socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 70]))),
    )
    return await ask(listening.port, { settings: { useTls: 'keylime_agent_use_tls' } })
  },
  'tls-version': () => askAlert(70),
  'tls-other': () => askAlert(80),
  'peer-name': () => askHttps({}, undefined, { files, serverName: 'other.example' }),
  'peer-issuer': async () =>
    await askHttps({}, undefined, { files: { caFile: pki.write('other.crt', (await pki.root('Other')).pem) } }),
  'peer-leaf-only': async () => {
    const leaf = await book.issue('verifier')
    return await askHttps({ cert: leaf.pem, key: leaf.keyPem() })
  },
  'peer-reissued-ca': async () =>
    await askHttps({}, undefined, { files: { caFile: pki.write('again.crt', (await pki.root('Root')).pem) } }),
  'peer-expired': async () => {
    const leaf = await book.issue('verifier', { validity: 'expired' })
    return await askHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
  },
  'peer-not-yet-valid': async () => {
    const leaf = await book.issue('verifier', { validity: 'not-yet-valid' })
    return await askHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
  },
  'peer-certificate': async () => {
    const leaf = await book.issue('verifier', { eku: ['clientAuth'] })
    return await askHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
  },
  'client-issuer': () => askAlert(48),
  'client-missing': () => askAlert(116, { caFile: files.caFile }),
  'client-expired': () => askAlert(45),
  'client-usage': () => askAlert(43),
  'client-certificate': () => askAlert(42),
  'client-unauthorized': () => askAnswering(401, '{"errors": [{"detail": "Invalid authentication token"}]}'),
  'client-forbidden': () => askAnswering(403, '{"errors": [{"detail": "Action read_agent requires authentication"}]}'),
  'agent-unknown': () => askAnswering(404, '{"code": 404, "status": "agent id not found", "results": {}}'),
  conflict: async () => {
    const text = '{"code": 409, "status": "Agent of uuid node already exists", "results": {}}'
    await using listening = await startHttps(server, (request, response) => {
      response.writeHead(request.url === '/version' ? 200 : 409, { 'content-type': 'application/json' })
      response.end(request.url === '/version' ? '{"results": {"supported_versions": ["2.6"]}}' : text)
    })
    await using origin = originFor(listening.port, { files })
    return await failureOf(new VerifierAdmin(origin).stop(parseAgentId('node')))
  },
  'api-version': () => askAnswering(404, '', html),
  'server-error': () => askAnswering(500, '', { 'content-type': 'text/html' }),
  'proxy-error': () => askAnswering(502, page('502 Bad Gateway'), html),
  throttled: () => askAnswering(429),
  redirect: () => askAnswering(307, '', { location: '/v3.0/' }),
  'answer-status': () => askAnswering(405, '', { 'content-type': 'text/html' }),
  'answer-too-large': () => askAnswering(200, ' '.repeat(2 * 1024 * 1024)),
  'answer-not-json': () => askAnswering(200, page('Welcome to nginx!'), html),
  'answer-shape': () => askAnswering(200, '{"code": 200, "status": "Success", "results": {}}'),
  'answer-other-agent': async () => {
    const record = { agent_id: 'NODE', aik_tpm: 'QUJD', ek_tpm: 'QUJD' }
    await using listening = await startHttps(server, (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ results: request.url === '/version' ? { supported_versions: ['2.6'] } : record }))
    })
    await using origin = originFor(listening.port, { files })
    return await failureOf(new RegistrarClient(origin).getAgent(parseAgentId('node')))
  },
}

describe('FAILURES', { timeout: 30_000 }, () => {
  it.each(Object.entries(CAUSES))(
    'can be brought about, with its own code and a message that says who and what: %s',
    async (reason, cause) => {
      const { code, message, error } = await cause()
      expect(failureReason(error)).toBe(reason)
      expect(code).toBe(FAILURES[failureReason(error) ?? 'reset'].code)
      expect(message).toMatch(/^keylime verifier \S+:\d+:? [^\n]{10,}[^.\n]$/)
    },
  )

  it('has a meaning and a next step for each, no two alike', () => {
    const all = Object.values(FAILURES)
    expect(all.every(({ meaning, next }) => meaning.length > 10 && next.length > 5)).toBe(true)
    expect(new Set(all.map(({ meaning }) => meaning)).size).toBe(all.length)
  })
})

describe('a TLS alert', { timeout: 30_000 }, () => {
  it.each([
    [40, 'tls-other', 'ended the TLS handshake (TLS alert "handshake failure"); look at its log for the reason'],
    [42, 'client-certificate', 'closed the connection after our certificate: it does not accept it'],
    [43, 'client-usage', 'refuses our certificate for client use (its extended key usage must include clientAuth'],
    [44, 'client-certificate', '(TLS alert "certificate revoked")'],
    [45, 'client-expired', 'says that our certificate has expired'],
    [46, 'client-certificate', '(TLS alert "certificate unknown")'],
    [48, 'client-issuer', 'closed the connection after our certificate: it does not trust its issuer'],
    [49, 'client-certificate', '(TLS alert "access denied")'],
    [51, 'client-certificate', '(TLS alert "decrypt error")'],
    [70, 'tls-version', 'speaks neither TLS 1.2 nor TLS 1.3'],
    [80, 'tls-other', 'ended the TLS handshake (TLS alert "internal error")'],
    [112, 'peer-name', 'serves nothing under the name 127.0.0.1'],
    [116, 'client-missing', 'demands a client certificate, and it did not take our client certificate CN=spire'],
  ])('%i is explained as %s', async (alert, reason, text) => {
    const outcome = await askAlert(alert)
    expect(outcome.reason).toBe(reason)
    expect(outcome.message).toContain(text)
  })

  it('"handshake failure" is how TLS 1.2 demands a certificate when none is configured', async () => {
    const { code, reason, message } = await askAlert(40, { caFile: files.caFile })
    expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-missing' })
    expect(message).toContain('it demands a client certificate, and none is configured')
  })
})
