import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { newTestPki } from './pki.ts'
import { type KeyFormat, type KeyKind, keyPem, newTestKey } from './pki-keys.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

async function handshake(server: { cert: string; key: string }, ca: string, servername?: string): Promise<string> {
  const listener = createServer(server, (socket) => socket.end())
  listener.on('tlsClientError', () => undefined)
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  try {
    return await new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ca, ...(servername && { servername }) }, () => {
        resolve('accepted')
        socket.destroy()
      })
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
  } finally {
    listener.close()
  }
}

describe('newTestPki', () => {
  it.each<KeyKind>(['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'rsa-3072'])(
    'makes a chain of %s keys that TLS accepts',
    async (key) => {
      const root = await pki.root('Root', { key })
      const middle = await root.intermediate('Middle', { key })
      const leaf = await middle.issue('server', { key })
      expect(await handshake({ cert: leaf.chainPem, key: leaf.keyPem() }, root.pem)).toBe('accepted')
      expect(leaf.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
      expect(leaf.x509.checkPrivateKey(leaf.key.privateKey)).toBe(true)
    },
  )

  it.each([
    ['expired', 'CERT_HAS_EXPIRED'],
    ['not-yet-valid', 'CERT_NOT_YET_VALID'],
    ['expires-soon', 'accepted'],
  ] as const)('makes a certificate that is %s', async (validity, outcome) => {
    const root = await pki.root('Root')
    const leaf = await root.issue('server', { validity })
    expect(await handshake({ cert: leaf.pem, key: leaf.keyPem() }, root.pem)).toBe(outcome)
  })

  it('makes two roots of one name whose leaves do not verify under each other', async () => {
    const [old, reissued] = [await pki.root('Keylime CA'), await pki.root('Keylime CA')]
    expect(old.x509.subject).toBe(reissued.x509.subject)
    const leaf = await old.issue('server')
    expect(leaf.x509.checkIssued(old.x509)).toBe(true)
    expect(leaf.x509.verify(reissued.x509.publicKey)).toBe(false)
    const refused = await handshake({ cert: leaf.pem, key: leaf.keyPem() }, reissued.pem)
    expect(refused).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  })

  it('re-issues a certificate over the same key', async () => {
    const first = await pki.root('Root')
    const second = await pki.root('Root', { key: first.key, validity: 'expires-soon' })
    const leaf = await first.issue('server')
    expect(leaf.x509.verify(second.x509.publicKey)).toBe(true)
    expect(second.x509.validTo).not.toBe(first.x509.validTo)
  })

  it('puts names and key usages where TLS looks for them', async () => {
    const root = await pki.root('Root')
    const leaf = await root.issue('server', {
      dns: ['verifier.example'],
      ip: ['10.0.0.7'],
      uri: ['spiffe://example.org/x'],
      eku: ['clientAuth'],
    })
    expect(leaf.x509.subjectAltName).toBe('DNS:verifier.example, IP Address:10.0.0.7, URI:spiffe://example.org/x')
    expect(leaf.x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    const bare = await root.issue('bare', { dns: ['verifier.example'], ip: [], eku: ['serverAuth'] })
    const server = { cert: bare.pem, key: bare.keyPem() }
    expect(await handshake(server, root.pem, 'verifier.example')).toBe('accepted')
    expect(await handshake(server, root.pem)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  it('writes files with the mode asked for and removes them all', async () => {
    const own = newTestPki()
    const leaf = await (await own.root('Root')).issue('server')
    const { certFile, keyFile } = own.writePair('server', leaf, 'sec1')
    expect(readFileSync(certFile, 'utf8')).toBe(leaf.chainPem)
    expect(readFileSync(keyFile, 'utf8')).toContain('BEGIN EC PRIVATE KEY')
    expect(statSync(keyFile).mode & 0o777).toBe(0o600)
    own.remove()
    expect(existsSync(own.folder)).toBe(false)
  })

  it('hands out different RSA keys within one PKI and the same ones to the next', async () => {
    const [one, two] = [newTestPki(), newTestPki()]
    const keys = await Promise.all([
      one.root('a', { key: 'rsa-2048' }),
      one.root('b', { key: 'rsa-2048' }),
      two.root('a', { key: 'rsa-2048' }),
    ])
    const [a, b, other] = keys.map((ca) => ca.x509.publicKey.export({ type: 'spki', format: 'pem' }))
    expect(a).not.toBe(b)
    expect(a).toBe(other)
    one.remove()
    two.remove()
  })
})

describe('keyPem', () => {
  it.each<[KeyKind, KeyFormat, string]>([
    ['ec-p256', 'pkcs8', 'BEGIN PRIVATE KEY'],
    ['ec-p256', 'sec1', 'BEGIN EC PRIVATE KEY'],
    ['rsa-2048', 'pkcs1', 'BEGIN RSA PRIVATE KEY'],
    ['ec-p384', 'encrypted', 'BEGIN ENCRYPTED PRIVATE KEY'],
    ['rsa-2048', 'encrypted-legacy', 'Proc-Type: 4,ENCRYPTED'],
  ])('writes a %s key as %s', (kind, format, marker) => {
    const key = newTestKey(kind)
    const pem = keyPem(key, format, 'pass')
    expect(pem).toContain(marker)
    const back = createPrivateKey({ key: pem, passphrase: 'pass' })
    expect(back.equals(key.privateKey)).toBe(true)
  })
})
