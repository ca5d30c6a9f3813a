// Certificates that OpenSSL refuses for reasons of its own: each is the server's fault, and told as that.
import { afterAll, describe, expect, it } from 'vitest'
import { hasOpenssl, newOpensslPki, type OpensslKey, type OpensslPair } from '../../../fakes/openssl-pki.ts'
import { newTestPki } from '../../../fakes/pki.ts'
import { failureOf, originFor, startHttps } from '../https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

const maker = newOpensslPki(pki)
const P256: OpensslKey = { curve: 'prime256v1' }
const SAN = 'subjectAltName=DNS:localhost,IP:127.0.0.1'

/** Makes a CA file's authority, and what the server shows. */
type Make = () => { readonly root: OpensslPair; readonly leaf: OpensslPair; readonly above?: OpensslPair }

const REFUSED: Readonly<Record<string, { readonly make: Make; readonly told: RegExp }>> = {
  'an intermediate signed with SHA-1': {
    make: () => {
      const root = maker.root('Root', P256)
      const above = maker.intermediate('Middle', P256, root, { digest: 'sha1' })
      return { root, above, leaf: maker.issue('server', P256, above) }
    },
    told: /does not verify: CA signature digest algorithm too weak.*: CN=server, issued by CN=Middle, issued by CN=Root/,
  },
  'an RSA key of 1024 bits': {
    make: () => {
      const root = maker.root('Root', P256)
      return {
        root,
        leaf: maker.issue('server', { algorithm: 'RSA', options: ['rsa_keygen_bits:1024'] }, root),
      }
    },
    told: /does not verify: EE certificate key too weak.*: CN=server, issued by CN=Root/,
  },
  'a name outside the constraints of its CA': {
    make: () => {
      const root = maker.root('Root', P256)
      const extensions = ['basicConstraints=critical,CA:TRUE', 'nameConstraints=critical,permitted;DNS:example.org']
      const above = maker.intermediate('Middle', P256, root, { extensions })
      return { root, above, leaf: maker.issue('server', P256, above) }
    },
    told: /does not verify: permitted subtree violation.*: CN=server, issued by CN=Middle, issued by CN=Root/,
  },
  'a critical extension that nobody knows': {
    make: () => {
      const root = maker.root('Root', P256)
      return { root, leaf: maker.issue('server', P256, root, { extensions: [SAN, '1.2.3.4=critical,DER:0500'] }) }
    },
    told: /does not verify: unhandled critical extension.*: CN=server/,
  },
  'a CA whose curve is written out': {
    make: () => {
      const root = maker.root('Root', P256)
      const above = maker.intermediate('Middle', { curve: 'prime256v1', isExplicit: true }, root)
      return { root, above, leaf: maker.issue('server', P256, above) }
    },
    told: /does not verify: .*explicit.*: CN=server, issued by CN=Middle, issued by CN=Root/,
  },
  'a CA of version 3 without basic constraints': {
    make: () => {
      const root = maker.root('Root', P256)
      const above = maker.intermediate('Middle', P256, root, { extensions: ['subjectKeyIdentifier=hash'] })
      return { root, above, leaf: maker.issue('server', P256, above) }
    },
    told: /signed by CN=Middle, which is no CA certificate \(basicConstraints lacks CA:TRUE\); reissue that CA's certificate/,
  },
  'an extension that cannot be read': {
    make: () => {
      const root = maker.root('Root', P256)
      return { root, leaf: maker.issue('server', P256, root, { extensions: ['2.5.29.17=DER:deadbeef'] }) }
    },
    told: /does not verify: .*CN=Root in CA file .* made that signature, so an extension or a key usage of one of them/,
  },
  'a CA that may not sign certificates': {
    make: () => {
      const root = maker.root('Root', P256, {
        extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=digitalSignature'],
      })
      return { root, leaf: maker.issue('server', P256, root) }
    },
    told: /does not verify: .*CN=server, issued by CN=Root/,
  },
  'a chain longer than its CA allows': {
    make: () => {
      const root = maker.root('Root', P256, { extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0'] })
      const above = maker.intermediate('Middle', P256, root)
      return { root, above, leaf: maker.issue('server', P256, above) }
    },
    told: /does not verify: path length constraint exceeded.*: CN=server, issued by CN=Middle, issued by CN=Root/,
  },
}

describe.skipIf(!hasOpenssl)('a server that shows (skipped without the openssl program)', () => {
  it.each(Object.entries(REFUSED))(
    '%s is told so, and nothing of our certificate [tls:peer:blamed]',
    async (_what, { make, told }) => {
      const { root, leaf, above } = make()
      const listener = { cert: leaf.pem + (above?.pem ?? ''), key: leaf.keyPem, ciphers: 'DEFAULT@SECLEVEL=0' }
      await using server = await startHttps(listener)
      await using origin = originFor(server.port, {
        files: { caFile: root.certFile, certFile: root.certFile, keyFile: root.keyFile },
      })
      const { code, reason, message } = await failureOf(origin.request('/version'))
      expect({ code, reason, message }).toEqual({
        code: 'KEYLIME_PEER_UNTRUSTED',
        reason: 'peer-certificate',
        message: expect.stringMatching(told) as string,
      })
      expect(message).not.toMatch(/after our certificate|UNSPECIFIED|another CN=/)
    },
  )
})
