// A fake step-ca: renews and rekeys the certificate that its client presents, over real mutual TLS.
import 'reflect-metadata'
import { randomBytes, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  X509Certificate as PeculiarCertificate,
  Pkcs10CertificateRequest,
  type PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { TestCa } from './pki.ts'
import { webCryptoPair } from './pki-keys.ts'

/** The server. */
export interface FakeStepCa extends AsyncDisposable {
  readonly address: string
  /** Answers that were given, such as `POST /rekey 201`. */
  readonly seen: string[]
  /** What it answers instead, until it is set to undefined again. */
  answer: { readonly status: number; readonly body: string } | undefined
  close(): Promise<void>
}

/**
 * Starts one.
 *
 * @param ca Signs.
 * @param rootPem Root that clients must come from.
 * @see smallstep/certificates, api/renew.go, api/rekey.go, authority/tls.go
 */
export async function startFakeStepCa(ca: TestCa, rootPem: string): Promise<FakeStepCa> {
  const own = await ca.issue('step-ca')
  const server = createServer({
    cert: own.chainPem,
    key: own.keyPem(),
    ca: rootPem,
    requestCert: true,
    rejectUnauthorized: false,
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const fake: FakeStepCa = { address: '', seen: [], answer: undefined, close, [Symbol.asyncDispose]: close }
  server.on('request', (request, response) => {
    void (async () => {
      const text = await textOf(request)
      const { status, body } = fake.answer ?? (await answerTo(ca, request, text))
      fake.seen.push(`${request.method} ${request.url} ${status}`)
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(body)
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(fake, { address: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

interface Answer {
  readonly status: number
  readonly body: string
}

async function answerTo(ca: TestCa, request: IncomingMessage, text: string): Promise<Answer> {
  const socket = request.socket as TLSSocket
  const raw = socket.getPeerCertificate().raw as Buffer | undefined
  if (raw === undefined || !socket.authorized) {
    return refusal(
      401,
      'The request lacked necessary authorization to be completed. Please see the certificate authority logs for more info.',
    )
  }
  if (request.method !== 'POST') return refusal(405, 'method not allowed')
  const shown = new PeculiarCertificate(raw)
  if (request.url === '/renew') return signed(ca, shown, shown.publicKey)
  if (request.url !== '/rekey') return refusal(404, 'resource not found')
  const { csr = '' } = JSON.parse(text) as { readonly csr?: string }
  const wanted = new Pkcs10CertificateRequest(csr)
  if (!(await wanted.verify())) return refusal(400, 'invalid csr: signature is not valid')
  return signed(ca, shown, wanted.publicKey)
}

// Subject, names and life are those of the certificate shown; a request gives nothing but its key.
async function signed(ca: TestCa, shown: PeculiarCertificate, publicKey: PublicKey): Promise<Answer> {
  const issuer = await webCryptoPair(ca.key)
  const names = shown.extensions.filter((one) => one instanceof SubjectAlternativeNameExtension)
  const made = await X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    subject: shown.subject,
    issuer: new X509Certificate(ca.pem).subject.split('\n').join(','),
    notBefore: new Date(Date.now() - 30_000),
    notAfter: new Date(Date.now() + shown.notAfter.getTime() - shown.notBefore.getTime()),
    publicKey,
    signingKey: issuer.privateKey,
    signingAlgorithm: issuer.algorithm,
    extensions: names,
  })
  const crt = made.toString('pem')
  return { status: 201, body: JSON.stringify({ crt, ca: ca.pem, certChain: [crt, ca.pem] }) }
}

function refusal(status: number, message: string): Answer {
  return { status, body: JSON.stringify({ status, message }) }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of request.setEncoding('utf8')) text += String(part)
  return text
}
