import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { whyNotNamed } from '../../../../plugins/keylime/https/peer-certificates.ts'
import { newTestPki } from '../../../fakes/pki.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

const CERTIFICATES = {
  'one name': { dns: ['verifier.example.org'], ip: [] },
  'two names and addresses': { dns: ['a.example', 'b.example'], ip: ['10.0.0.1', 'fd00::1'] },
  'a wildcard': { dns: ['*.example.org'], ip: [] },
  'a wildcard of a whole country': { dns: ['*.org'], ip: [] },
  'a wildcard within a label': { dns: ['v*.example.org'], ip: [] },
  'an address written as a name': { dns: ['10.0.0.1'], ip: [] },
  'only a common name': { subject: 'CN=verifier.example.org', dns: [], ip: [] },
  'a common name beside another name': { subject: 'CN=verifier.example.org', dns: ['b.example'], ip: [] },
  'a common name beside an address': { subject: 'CN=verifier.example.org', dns: [], ip: ['10.0.0.1'] },
  'an address as common name': { subject: 'CN=10.0.0.1', dns: [], ip: [] },
  'a name of other letters': { dns: ['xn--bcher-kva.example'], ip: [] },
  'a name with an underscore': { dns: ['my_verifier.example.org'], ip: [] },
  'no name at all': { subject: '', dns: [], ip: [] },
} as const
const NAMES = [
  'verifier.example.org',
  'VERIFIER.example.ORG',
  'verifier.example.org.',
  'x.verifier.example.org',
  'example.org',
  'org',
  'b.example',
  '10.0.0.1',
  'fd00::1',
  'fd00:0:0::0:1',
  'b\u00fccher.example',
  'my_verifier.example.org',
]

describe('whyNotNamed', () => {
  it.each(Object.entries(CERTIFICATES))('judges %s as Node.js does', async (_what, options) => {
    const { x509 } = await pki.selfSigned('peer', options)
    const judged = NAMES.map((name) => [name, whyNotNamed(x509, name) === undefined])
    const expected = NAMES.map((name) => [name, checkServerIdentity(name, legacyOf(x509)) === undefined])
    expect(judged).toEqual(expected)
  })

  it('takes no pattern for a name', async () => {
    const { x509 } = await pki.selfSigned('peer', CERTIFICATES['a wildcard'])
    expect(whyNotNamed(x509, '.example.org')).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    expect(whyNotNamed(x509, '*.example.org')).toBeUndefined()
  })

  it('lets no certificate be for nobody', () => {
    expect(whyNotNamed(undefined, 'localhost')).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })
})

function legacyOf(x509: { toLegacyObject(): PeerCertificate }): PeerCertificate {
  return x509.toLegacyObject()
}
