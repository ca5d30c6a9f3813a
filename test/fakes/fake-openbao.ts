// A fake OpenBao: seals, logs in by AppRole and certificate, and signs requests under a role, over real TLS.
import 'reflect-metadata'
import { randomBytes, randomUUID, X509Certificate } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  ExtendedKeyUsageExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { TestCa } from './pki.ts'
import { webCryptoPair } from './pki-keys.ts'

/** What one role of the PKI engine allows. */
export interface FakeRole {
  /** Names that end so are allowed. */
  readonly domain: string
  readonly lifeMs?: number
  readonly client?: boolean
}

/** The server. */
export interface FakeOpenBao extends AsyncDisposable {
  readonly address: string
  readonly roleId: string
  readonly secretId: string
  /** Answers as a sealed one. */
  sealed: boolean
  /** Leaves the issuers out of what it answers. */
  withoutIssuers: boolean
  /** Answers that were given, such as `POST /v1/pki_int/sign/agents 200`. */
  readonly seen: string[]
  /** Wrapping tokens that can still be used, each once. */
  readonly wrapped: Set<string>
  readonly roles: Map<string, FakeRole>
  /** Policies of each login. */
  policies: readonly string[]
  close(): Promise<void>
}

/**
 * Starts one.
 *
 * @param ca Signs; its chain is what is sent.
 */
export async function startFakeOpenBao(ca: TestCa, clientCaPem: string): Promise<FakeOpenBao> {
  const own = await ca.issue('openbao')
  const server = createServer({
    cert: own.chainPem,
    key: own.keyPem(),
    ca: clientCaPem,
    requestCert: true,
    rejectUnauthorized: false,
  })
  const tokens = new Set<string>()
  const fake: FakeOpenBao = {
    address: '',
    roleId: randomUUID(),
    secretId: randomUUID(),
    sealed: false,
    withoutIssuers: false,
    seen: [],
    wrapped: new Set(),
    roles: new Map([['agents', { domain: 'example.org' }]]),
    policies: ['default', 'renew'],
    close: () => closed(server),
    [Symbol.asyncDispose]: () => closed(server),
  }
  server.on('request', (request, response) => {
    void (async () => {
      const { status, body } = await answer(fake, ca, tokens, request).catch((error: unknown) =>
        failed(500, String(error)),
      )
      fake.seen.push(`${request.method} ${request.url} ${status}`)
      send(response, status, body)
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(fake, { address: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function answer(fake: FakeOpenBao, ca: TestCa, tokens: Set<string>, request: IncomingMessage): Promise<Answer> {
  const path = request.url ?? ''
  const body = JSON.parse((await textOf(request)) || '{}') as Record<string, string>
  if (path === '/v1/sys/health') return { status: fake.sealed ? 503 : 200, body: { sealed: fake.sealed } }
  if (fake.sealed) return failed(503, 'Vault is sealed')
  if (path === '/v1/auth/approle/login') {
    const fits = body['role_id'] === fake.roleId && body['secret_id'] === fake.secretId
    return fits ? loggedIn(tokens) : failed(400, 'invalid role or secret ID')
  }
  if (path === '/v1/auth/cert/login') {
    const socket = request.socket as TLSSocket
    const { raw } = socket.getPeerCertificate()
    if (raw === undefined) return failed(400, 'no client certificate found')
    if (!/^CN=./m.test(new X509Certificate(raw).subject)) return failed(500, 'missing name in alias')
    return socket.authorized
      ? loggedIn(tokens)
      : failed(400, 'failed to match all constraints for this login certificate')
  }
  const token = String(request.headers['x-vault-token'])
  if (path === '/v1/sys/wrapping/unwrap') {
    return fake.wrapped.delete(token)
      ? { status: 200, body: { data: { secret_id: fake.secretId } } }
      : failed(400, 'wrapping token is not valid or does not exist')
  }
  if (!tokens.has(token)) return failed(403, 'permission denied')
  if (path === '/v1/auth/token/lookup-self') {
    return { status: 200, body: { data: { policies: fake.policies, ttl: 1200, display_name: 'approle' } } }
  }
  const role = /^\/v1\/pki_int\/sign\/(.+)$/.exec(path)?.[1] ?? ''
  return sign(fake, ca, fake.roles.get(role), body)
}

async function sign(
  fake: FakeOpenBao,
  ca: TestCa,
  role: FakeRole | undefined,
  body: Record<string, string>,
): Promise<Answer> {
  if (role === undefined) return failed(400, 'unknown role')
  const request = new Pkcs10CertificateRequest(body['csr'] ?? '')
  if (!(await request.verify())) return failed(400, 'request signature invalid')
  const names = request.extensions.find((one) => one instanceof SubjectAlternativeNameExtension)
  const wrong = names?.names
    .toJSON()
    .find(({ type, value }) => type === 'dns' && value !== 'localhost' && !value.endsWith(role.domain))
  if (wrong !== undefined) return failed(400, `subject alternate name ${wrong.value} not allowed by this role`)
  const issuer = await webCryptoPair(ca.key)
  const made = await X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    subject: request.subject,
    issuer: ca.x509.subject.split('\n').join(','),
    notBefore: new Date(Date.now() - 30_000),
    notAfter: new Date(Date.now() + (role.lifeMs ?? 86_400_000)),
    publicKey: request.publicKey,
    signingKey: issuer.privateKey,
    signingAlgorithm: issuer.algorithm,
    extensions: [
      ...(names === undefined ? [] : [names]),
      new ExtendedKeyUsageExtension([role.client === true ? '1.3.6.1.5.5.7.3.2' : '1.3.6.1.5.5.7.3.1']),
    ],
  })
  const issuers = fake.withoutIssuers ? {} : { issuing_ca: ca.pem, ca_chain: [ca.pem] }
  return { status: 200, body: { data: { certificate: made.toString('pem'), ...issuers } } }
}

function loggedIn(tokens: Set<string>): Answer {
  const token = `hvs.${randomUUID()}`
  tokens.add(token)
  return { status: 200, body: { auth: { client_token: token, policies: ['default'] } } }
}

function failed(status: number, error: string): Answer {
  return { status, body: { errors: [error] } }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body))
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of request.setEncoding('utf8')) text += String(part)
  return text
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
