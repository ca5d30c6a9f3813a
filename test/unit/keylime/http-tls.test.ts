import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newTestPki, type TestCa } from '../../fakes/pki.ts'
import { failureOf, freePort, originFor, startHttp, startHttps, startTcp } from './https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

let root: TestCa
let book: TestCa
let server: { cert: string; key: string }
let caFile: string
let client: { certFile: string; keyFile: string }

beforeAll(async () => {
  root = await pki.root('Eye of Thundera', { subject: 'CN=Eye of Thundera,O=Funlab.Casa' })
  book = await root.intermediate('Book of Omens')
  const leaf = await book.issue('verifier')
  server = { cert: leaf.chainPem, key: leaf.keyPem() }
  caFile = pki.write('root.crt', root.pem)
  client = pki.writePair('client', await book.issue('spire'))
})

const mutual = (ca: string): object => ({ ...server, ca, requestCert: true, rejectUnauthorized: true })

describe('HttpsOrigin, towards a server it should not trust', { timeout: 30_000 }, () => {
  it('names the presented and the expected name, and the key to set [T25] [P33]', async () => {
    const leaf = await book.issue('server', { dns: ['server', 'verifier.keylime.example'], ip: ['10.0.0.1'] })
    await using listener = await startHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'peer-name' })
    expect(message).toBe(
      `keylime verifier 127.0.0.1:${listener.port} presents a certificate for DNS:server, DNS:verifier.keylime.example, IP:10.0.0.1; expected 127.0.0.1; set keylime_verifier_server_name to one of its names, or reissue it with that name`,
    )
  })

  it('accepts the same server under the configured name [T25]', async () => {
    const leaf = await book.issue('server', { dns: ['server'], ip: [] })
    await using listener = await startHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
    await using origin = originFor(listener.port, { files: { caFile }, serverName: 'server' })
    expect((await origin.request('/version')).status).toBe(200)
  })

  it('refuses a server of another CA, and says which issuer is missing where [P12]', async () => {
    const other = await pki.root('Some Other CA')
    const otherFile = pki.write('other.crt', other.pem)
    await using listener = await startHttps(server)
    await using origin = originFor(listener.port, { files: { caFile: otherFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'peer-issuer' })
    expect(message).toContain(
      'presents a chain that ends at CN=Book of Omens; its issuer O=Funlab.Casa, CN=Eye of Thundera is not in CA file',
    )
    expect(message).toContain(otherFile)
  })

  it('stays strict when the environment says otherwise [P12]', async () => {
    const other = pki.write('other2.crt', (await pki.root('Some Other CA')).pem)
    await using listener = await startHttps(server)
    await using origin = originFor(listener.port, { files: { caFile: other } })
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      const { code, message } = await failureOf(origin.request('/version'))
      expect(code).toBe('KEYLIME_PEER_UNTRUSTED')
      expect(message).toContain('is not in CA file')
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    }
  })

  it('says that only the leaf is sent and which intermediate to add where [P11]', async () => {
    const leaf = await book.issue('verifier')
    await using listener = await startHttps({ cert: leaf.pem, key: leaf.keyPem() })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'peer-leaf-only' })
    expect(message).toContain(
      `sends only its leaf CN=verifier; its issuer CN=Book of Omens is not in CA file ${caFile}: add it there or, if it is an intermediate, let the server send its chain`,
    )
  })

  it('tells a re-issued root of the same name from a missing one [P11] [T28]', async () => {
    const again = await pki.root('Eye of Thundera', { subject: 'CN=Eye of Thundera,O=Funlab.Casa' })
    const againFile = pki.write('reissued.crt', again.pem)
    await using listener = await startHttps(server)
    await using origin = originFor(listener.port, { files: { caFile: againFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'peer-reissued-ca' })
    expect(message).toContain(
      'presents a certificate signed by another O=Funlab.Casa, CN=Eye of Thundera than the one in CA file',
    )
  })

  it.each([
    ['expired', 'peer-expired', /presents a certificate that expired .* ago \(.*\): CN=old/],
    ['not-yet-valid', 'peer-not-yet-valid', /is not valid before .*is the clock right\?: CN=old/],
  ] as const)('says since when the certificate of the server is %s', async (validity, wanted, text) => {
    const leaf = await book.issue('old', { validity })
    await using listener = await startHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: wanted })
    expect(message).toMatch(text)
  })

  it('refuses a certificate that is only for clients', async () => {
    const leaf = await book.issue('clientish', { eku: ['clientAuth'] })
    await using listener = await startHttps({ cert: leaf.chainPem, key: leaf.keyPem() })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, message } = await failureOf(origin.request('/version'))
    expect(code).toBe('KEYLIME_PEER_UNTRUSTED')
    expect(message).toContain(
      'presents a certificate that is not for servers (extended key usage lacks serverAuth): CN=clientish',
    )
  })

  it('refuses TLS 1.1', async () => {
    await using listener = await startHttps({
      ...server,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL@SECLEVEL=0',
    })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'tls-version' })
    expect(message).toContain('speaks neither TLS 1.2 nor TLS 1.3')
  })

  it('says that the port serves plain HTTP', async () => {
    await using listener = await startHttp()
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'tls-not-spoken' })
    expect(message).toContain(`does not speak TLS on port ${listener.port}`)
    expect(message).toContain('keylime_verifier_port: a registrar serves plain HTTP on 8890 and TLS on 8891')
  })

  it('says that a plain request met a TLS port', async () => {
    await using listener = await startHttps(server)
    await using origin = originFor(listener.port, {
      role: 'keylime agent',
      settings: { useTls: 'keylime_agent_use_tls' },
    })
    const { code, message } = await failureOf(origin.request('/version'))
    expect(code).toMatch(/^KEYLIME_(UNREACHABLE|PEER_UNTRUSTED)$/)
    expect(message).toContain('set keylime_agent_use_tls = true')
  })

  it('takes the certificate a Keylime agent makes for itself, whose signature does not verify, and names it when unknown', async () => {
    const made = await pki.selfSigned('agent', { ip: ['127.0.0.1'] })
    const der = Buffer.from(made.x509.raw)
    der.writeUInt8(der.readUInt8(der.length - 1) ^ 1, der.length - 1)
    const cert = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
    await using listener = await startHttps({ cert, key: made.keyPem() })
    await using trusting = originFor(listener.port, { files: { caFile: pki.write('agent.crt', cert) } })
    expect((await trusting.request('/')).status).toBe(200)
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_PEER_UNTRUSTED', reason: 'peer-issuer' })
    expect(message).toContain('presents a self-signed certificate CN=agent (SHA-256 ')
  })

  it('knows the names of a peer are not to be trusted: control characters do not reach the message', async () => {
    const leaf = await book.issue('evil', { subject: 'CN=evil\u001b[31m', dns: ['x'], ip: [] })
    await using listener = await startHttps({ cert: leaf.pem, key: leaf.keyPem() })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { message } = await failureOf(origin.request('/version'))
    expect(message).not.toMatch(/\p{Cc}/u)
  })
})

describe('HttpsOrigin, towards a server that does not trust us', { timeout: 30_000 }, () => {
  const versions = ['TLSv1.2', 'TLSv1.3'] as const

  it.each(versions)(
    'names our certificate, its issuer and its end when its issuer is not trusted (%s) [P07] [T22]',
    async (version) => {
      const stranger = await pki.root('Stranger CA')
      await using listener = await startHttps({ ...mutual(stranger.pem), maxVersion: version })
      await using origin = originFor(listener.port, { files: { caFile, ...client } })
      const { code, message } = await failureOf(origin.request('/version'))
      expect(code).toBe('KEYLIME_CLIENT_REFUSED')
      // In TLS 1.2 this server hangs up without an alert, which proves less.
      expect(message).toContain(
        version === 'TLSv1.3'
          ? 'closed the connection after our certificate'
          : 'closed the connection without a word when it had shown its certificate',
      )
      expect(message).toMatch(
        /our client certificate CN=spire \(issued by CN=Book of Omens, expires 2\d\d\d-.*Z, file .*client\.crt\)/,
      )
    },
  )

  it.each(versions)('says that the server demands a certificate and none is configured (%s)', async (version) => {
    await using listener = await startHttps({ ...mutual(root.pem), maxVersion: version })
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-missing' })
    expect(message).toContain('demands a client certificate, and none is configured')
  })

  it('finds out that a server which closes without a word does not want our certificate', async () => {
    const stranger = await pki.root('Stranger CA')
    const polite = { ...server, ca: stranger.pem, requestCert: true, rejectUnauthorized: false }
    await using listener = await startHttps(polite, undefined, (socket) => {
      if (!socket.authorized) socket.destroy()
    })
    await using origin = originFor(listener.port, { files: { caFile, ...client } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_CLIENT_REFUSED', reason: 'client-certificate' })
    expect(message).toContain(
      'closed the connection after our certificate: it does not accept it; sent was our client certificate CN=spire',
    )
  })

  it('claims no refusal of a server that goes away when it has shown its certificate (TLSv1.2)', async () => {
    await using behind = await startHttps({ ...mutual(root.pem), maxVersion: 'TLSv1.2' })
    await using listener = await startTcp((socket) => {
      const inner = connect(behind.port, '127.0.0.1')
      inner.on('error', () => undefined)
      socket.pipe(inner)
      // The first flight of the server, and then nothing any more.
      inner.once('data', (flight: Buffer) => socket.write(flight, () => socket.destroy()))
      socket.once('close', () => inner.destroy())
    })
    await using origin = originFor(listener.port, { files: { caFile, ...client } })
    const { code, message } = await failureOf(origin.request('/version'))
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toMatch(
      /closed the connection without a word when it had shown its certificate.*: it may not accept ours; sent was our client certificate CN=spire .*, or it ended just then; its log says which/,
    )
  })

  it('does not blame the certificate when the server cuts a request it had accepted', async () => {
    await using listener = await startHttps(mutual(root.pem), (request) => request.socket.destroy())
    await using origin = originFor(listener.port, { files: { caFile, ...client } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_UNREACHABLE', reason: 'reset' })
    expect(message).toContain('closed the connection before an answer came')
  })

  it('says so when the port closes during the handshake', async () => {
    await using listener = await startTcp((socket) => socket.once('data', () => socket.destroy()))
    await using origin = originFor(listener.port, { files: { caFile } })
    const { code, message } = await failureOf(origin.request('/version'))
    expect(code).toBe('KEYLIME_UNREACHABLE')
    expect(message).toContain('closed the connection during the TLS handshake without saying why')
  })
})

describe('HttpsOrigin and the network', { timeout: 30_000 }, () => {
  it('says that nothing listens', async () => {
    const port = await freePort()
    await using origin = originFor(port, { files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_UNREACHABLE', reason: 'refused' })
    expect(message).toBe(
      `keylime verifier 127.0.0.1:${port} refused the connection: nothing listens there; is the service running, and on this port?`,
    )
  })

  it('says that the host name does not resolve', async () => {
    await using origin = originFor(8881, { host: 'verifier.invalid', files: { caFile } })
    const { code, reason, message } = await failureOf(origin.request('/version'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_UNREACHABLE', reason: 'dns' })
    expect(message).toContain('host name verifier.invalid does not resolve')
    expect(message).toContain('check keylime_verifier_host')
  })
})
