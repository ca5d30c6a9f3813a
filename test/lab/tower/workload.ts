/**
 * A workload that trusts nothing but SPIFFE identities: serves, or calls, over mutual TLS with its X509-SVID.
 *
 * Usage: node workload.ts serve DIR PORT PEER_ID | node workload.ts call DIR HOST PORT PEER_ID
 * DIR holds svid.0.pem, svid.0.key and bundle.0.pem as `spire-agent api fetch x509 -write` leaves them.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, createServer, type PeerCertificate } from 'node:tls'

const [, , mode = '', dir = '', ...rest] = process.argv
const read = (name: string): Buffer => readFileSync(join(dir, name))
const own = {
  cert: read('svid.0.pem'),
  key: read('svid.0.key'),
  ca: read('bundle.0.pem'),
  minVersion: 'TLSv1.2' as const,
}

/** Reads the SPIFFE ID from a certificate; the bundle has already vouched for the chain. */
function idOf(peer: PeerCertificate): string {
  return /URI:(spiffe:\/\/[^,\s]+)/.exec(new X509Certificate(peer.raw).subjectAltName ?? '')?.[1] ?? 'no SPIFFE ID'
}

function serve(port: number, wanted: string): void {
  const server = createServer({ ...own, requestCert: true, rejectUnauthorized: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    const id = idOf(socket.getPeerCertificate())
    if (id === wanted) socket.end(`hello ${id}\n`)
    else socket.destroy()
  })
  server.on('tlsClientError', () => undefined)
  server.listen(port, '0.0.0.0', () => process.stdout.write('Listening\n'))
}

function call(host: string, port: number, wanted: string): void {
  const options = {
    ...own,
    host,
    port,
    checkServerIdentity: (_: string, peer: PeerCertificate) => mismatch(idOf(peer), wanted),
  }
  const socket = connect(options)
  socket.on('error', (error) => {
    process.stdout.write(`refused: ${error.message}\n`)
    process.exitCode = 1
  })
  // A server that refuses a client certificate says so after the client's own handshake is done.
  let answered = false
  socket.on('data', (chunk: Buffer) => {
    answered = true
    process.stdout.write(chunk)
  })
  socket.on('close', () => {
    if (!answered) process.exitCode = 1
  })
}

function mismatch(found: string, wanted: string): Error | undefined {
  return found === wanted ? undefined : new Error(`expected ${wanted}, found ${found}`)
}

if (mode === 'serve') serve(Number(rest[0]), rest[1] ?? '')
else call(rest[0] ?? '', Number(rest[1]), rest[2] ?? '')
