import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Call, explainStatus, openEnvelope } from '../../../../plugins/keylime/api/envelope.ts'
import { isDeeperThan } from '../../../../plugins/keylime/api/json.ts'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import type { HttpAnswer } from '../../../../plugins/keylime/https/http-request.ts'
import { recorded, recordedResults } from '../../../fakes/recorded.ts'

const client = {
  certFile: '/etc/keylime/certs/client.crt',
  keyFile: '/etc/keylime/certs/client.key',
  subject: 'CN=spire',
  issuer: 'CN=Book of Omens',
  notBefore: new Date('2026-02-10T00:00:00Z'),
  notAfter: new Date('2026-02-12T03:00:00Z'),
  fingerprint256: 'AA',
  chainLength: 2,
}
const call: Call = { who: 'keylime verifier 10.0.0.1:8881', about: 'agent x', unknownOn404: true, client }
const SENT =
  'our client certificate CN=spire (issued by CN=Book of Omens, expires 2026-02-12T03:00:00Z, file /etc/keylime/certs/client.crt)'

function answer(
  status: number,
  body: string,
  contentType = 'application/json',
  more: Partial<HttpAnswer> = {},
): HttpAnswer {
  return { status, body, contentType, server: '', location: '', ...more }
}

function recordedAnswer(name: string): HttpAnswer {
  const { status, body, contentType } = recorded(name)
  return answer(status, body, contentType.split(';')[0] ?? '')
}

function page(status: number, title: string): HttpAnswer {
  const body = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx/1.26.3</center>\r\n</body>\r\n</html>\r\n`
  return answer(status, body, 'text/html', { server: 'nginx/1.26.3' })
}

function failure(given: HttpAnswer, asked: Call = call): { code: string; reason: unknown; message: string } {
  try {
    openEnvelope(given, asked)
  } catch (error) {
    if (!(error instanceof KeylimeError)) throw error
    return { code: error.code, reason: error.facts['reason'], message: error.message }
  }
  throw new Error('expected a failure')
}

function outcomeOf(given: HttpAnswer): string {
  try {
    return typeof openEnvelope(given, call) === 'object' ? 'results' : 'something else'
  } catch (error) {
    return error instanceof KeylimeError ? `${error.code} ${error.message}` : String(error)
  }
}

describe('openEnvelope, with what a real Keylime answers', () => {
  it.each([
    'verifier-agent',
    'verifier-agents',
    'verifier-version',
    'registrar-agent',
    'registrar-version',
    'agent-version',
    'agent-quote',
    'agent-info-v2.6',
    'verify-identity-valid',
  ])('opens %s', (name) => {
    expect(openEnvelope(recordedAnswer(name), call)).toEqual(recordedResults(name))
  })

  it.each([
    [
      'verifier-agent-unknown',
      'KEYLIME_AGENT_UNKNOWN',
      'agent-unknown',
      'does not know agent x ("agent id not found"); not enrolled there, or its database failed',
    ],
    [
      'registrar-agent-unknown',
      'KEYLIME_AGENT_UNKNOWN',
      'agent-unknown',
      `does not know agent x ("Agent with ID 'nope' not found")`,
    ],
    ['verify-identity-unknown-agent', 'KEYLIME_AGENT_UNKNOWN', 'agent-unknown', 'does not know agent x'],
    [
      'verifier-agent-no-cert',
      'KEYLIME_CLIENT_REFUSED',
      'client-forbidden',
      `refuses us with 403 ("Action read_agent requires authentication"): it does not take us for an administrator; sent was ${SENT}`,
    ],
    [
      'verify-identity-missing-quote',
      'KEYLIME_BAD_RESPONSE',
      'answer-status',
      `answers 400 for agent x ("missing query parameter 'quote'")`,
    ],
    [
      'agent-unknown-path',
      'KEYLIME_BAD_RESPONSE',
      'answer-status',
      'Not Implemented: Use /agent, /keys, or /quotes interfaces',
    ],
  ])('explains %s', (name, code, reason, text) => {
    const seen = failure(recordedAnswer(name))
    expect(seen).toMatchObject({ code, reason })
    expect(seen.message).toContain(text)
  })
})

describe('openEnvelope, with what comes from elsewhere', () => {
  it.each([
    [
      page(400, '400 No required SSL certificate was sent'),
      'KEYLIME_CLIENT_REFUSED',
      'client-missing',
      'has a proxy in front (nginx) that demands a client certificate and got none',
    ],
    [
      page(400, '400 The SSL certificate error'),
      'KEYLIME_CLIENT_REFUSED',
      'client-issuer',
      'does not accept our client certificate ("The SSL certificate error"): its issuer is not in ssl_client_certificate',
    ],
    [
      page(400, '400 The plain HTTP request was sent to HTTPS port'),
      'KEYLIME_PEER_UNTRUSTED',
      'tls-expected',
      'wants TLS on this port and got plain HTTP',
    ],
    [
      answer(400, 'Client sent an HTTP request to an HTTPS server.\n', 'text/plain'),
      'KEYLIME_PEER_UNTRUSTED',
      'tls-expected',
      'wants TLS on this port and got plain HTTP',
    ],
    [
      page(502, '502 Bad Gateway'),
      'KEYLIME_UNAVAILABLE',
      'proxy-error',
      'answers 502 with a page "502 Bad Gateway" from nginx/1.26.3: the service behind that proxy is away or too slow',
    ],
    [page(504, '504 Gateway Time-out'), 'KEYLIME_UNAVAILABLE', 'proxy-error', 'answers 504'],
    [
      page(404, '404 Not Found'),
      'KEYLIME_BAD_RESPONSE',
      'answer-status',
      'answers 404 for agent x with a page "404 Not Found" from nginx/1.26.3',
    ],
    [
      page(200, 'Welcome to nginx!'),
      'KEYLIME_BAD_RESPONSE',
      'answer-not-json',
      'answers 200 with a page "Welcome to nginx!" from nginx/1.26.3, expected JSON; is it the right service?',
    ],
    [
      answer(500, '', 'text/html'),
      'KEYLIME_UNAVAILABLE',
      'server-error',
      'failed with 500 with an empty body; its log says why',
    ],
    [
      answer(409, '{"code": 409, "status": "Agent of uuid x already exists", "results": {}}'),
      'KEYLIME_BAD_RESPONSE',
      'answer-status',
      'answers 409 for agent x ("Agent of uuid x already exists")',
    ],
    [answer(429, ''), 'KEYLIME_UNAVAILABLE', 'throttled', 'answers 429: too many requests'],
    [
      answer(401, '{"errors":[{"status":"401","title":"Unauthorized","detail":"Invalid authentication token"}]}'),
      'KEYLIME_CLIENT_REFUSED',
      'client-unauthorized',
      'refuses us with 401 ("Invalid authentication token")',
    ],
    [
      answer(302, '', '', { location: 'https://auth.example/login' }),
      'KEYLIME_BAD_RESPONSE',
      'redirect',
      'answers 302, a redirect to https://auth.example/login; redirects are not followed',
    ],
    [
      answer(200, '{"code": 200', 'application/json'),
      'KEYLIME_BAD_RESPONSE',
      'answer-not-json',
      'answers 200 with 12 characters that are not JSON, expected a JSON object',
    ],
    [answer(200, '[]'), 'KEYLIME_BAD_RESPONSE', 'answer-not-json', 'answers 200 with a list, expected a JSON object'],
    [answer(200, '{}'), 'KEYLIME_BAD_RESPONSE', 'answer-shape', 'answers 200 without a results object: nothing'],
    [answer(200, '{"results": []}'), 'KEYLIME_BAD_RESPONSE', 'answer-shape', 'without a results object: a list'],
    [answer(200, '', ''), 'KEYLIME_BAD_RESPONSE', 'answer-not-json', 'answers 200 as an unnamed type, expected JSON'],
    [
      answer(200, `{"results": ${'['.repeat(40)}${']'.repeat(40)}}`),
      'KEYLIME_BAD_RESPONSE',
      'answer-not-json',
      'answers JSON that nests deeper than 32',
    ],
  ] as const)('names answer %# each in its own words [T93]', (given, code, reason, text) => {
    const seen = failure(given)
    expect(seen).toMatchObject({ code, reason })
    expect(seen.message).toContain(text)
    expect(seen.message.startsWith('keylime verifier 10.0.0.1:8881 ')).toBe(true)
  })

  it('says that a proxy passes on to the wrong port of the registrar', () => {
    const seen = failure(answer(400, '', 'text/html'), { ...call, who: 'keylime registrar 10.0.0.1:443' })
    expect(seen).toMatchObject({ code: 'KEYLIME_BAD_RESPONSE', reason: 'answer-status' })
    expect(seen.message).toContain(
      'its plain HTTP port (8890) answers so: a proxy must pass on to the TLS port (8891), with a client certificate',
    )
  })

  it('says that Keylime sees the certificate of the proxy and not ours', () => {
    const forbidden = { ...recordedAnswer('verifier-agent-no-cert'), server: 'nginx/1.26.3' }
    expect(failure(forbidden).message).toContain(
      'nginx/1.26.3 is in front: Keylime sees the certificate that proxy presents (proxy_ssl_certificate), not ours',
    )
  })

  it('does not take the 404 of another service for "unknown agent"', () => {
    for (const body of ['{"errors": []}', '{"code": 404}', '{}', '']) {
      const seen = failure(answer(404, body))
      expect(seen).toMatchObject({ code: 'KEYLIME_BAD_RESPONSE', reason: 'answer-status' })
      expect(seen.message).toContain('answers 404 for agent x')
      expect(seen.message).toContain('is it the right service?')
    }
  })

  it('does not take a 404 for "unknown agent" where it stands for something else', () => {
    expect(failure(answer(404, '{}'), { ...call, unknownOn404: false })).toMatchObject({ code: 'KEYLIME_BAD_RESPONSE' })
  })

  it('says that no certificate is configured when there is none', () => {
    const { client: _none, ...anonymous } = call
    expect(failure(recordedAnswer('verifier-agent-no-cert'), anonymous).message).toContain(
      'sent was no client certificate (none is configured)',
    )
  })

  it('gives results or a failure of one printable line, whatever comes', () => {
    const statuses = fc.oneof(fc.constant(200), fc.integer({ min: 200, max: 599 }))
    const types = fc.constantFrom('application/json', 'text/html', 'text/plain', '', 'application/vnd.api+json')
    const bodies = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `{"code": 200, "status": "x", "results": ${json}}`),
      fc.json().map((json) => `{"errors": [${json}]}`),
    )
    fc.assert(
      fc.property(statuses, types, bodies, fc.string(), (status, contentType, body, server) => {
        const outcome = outcomeOf(answer(status, body, contentType, { server }))
        expect(outcome).toMatch(/^(results|KEYLIME_[A-Z_]+ [^\p{Cc}]{1,900})$/u)
      }),
      { numRuns: 500 },
    )
  })

  it('shows nothing of a 200 that it cannot use: a record holds a secret', () => {
    const secret = 'c2VjcmV0LWtleS1zaGFyZQ=='
    for (const body of [`{"results": "${secret}"}`, `["${secret}"]`, `"${secret}"`, secret, `{"v": "${secret}"}`]) {
      for (const type of ['application/json', 'text/html', 'text/plain']) {
        expect(JSON.stringify(failure(answer(200, body, type)))).not.toContain(secret)
      }
    }
  })
})

describe('explainStatus', () => {
  it('keeps the facts for the log', () => {
    expect(explainStatus(page(502, '502 Bad Gateway'), call).facts).toEqual({
      reason: 'proxy-error',
      http_status: 502,
      content_type: 'text/html',
      http_server: 'nginx/1.26.3',
    })
  })
})

describe('isDeeperThan', () => {
  it('agrees with the parsed value, strings with brackets included', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 5 }), (value, depth) => {
        expect(isDeeperThan(JSON.stringify(value), depth)).toBe(depthOf(value) > depth)
      }),
    )
  })
})
