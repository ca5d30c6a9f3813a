import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TlsFiles } from '../../../../plugins/keylime/tls-files/file-names.ts'
import { loadTlsFiles } from '../../../../plugins/keylime/tls-files/tls-files.ts'
import { type IssuedCertificate, newTestPki, type TestCa } from '../../../fakes/pki.ts'
import type { KeyFormat, KeyKind } from '../../../fakes/pki-keys.ts'
import { originFor, startHttps } from '../https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

const names = {
  caFile: 'keylime_tls_ca_cert_file',
  certFile: 'keylime_tls_cert_file',
  keyFile: 'keylime_tls_key_file',
}
let root: TestCa
let book: TestCa
let leaf: IssuedCertificate
let caFile: string
let pair: { certFile: string; keyFile: string }

beforeAll(async () => {
  root = await pki.root('Eye of Thundera')
  book = await root.intermediate('Book of Omens')
  leaf = await book.issue('spire')
  caFile = pki.write('root.crt', root.pem)
  pair = pki.writePair('spire', leaf)
})

/** Tells whether a client with these files and a server that demands a certificate of `trusted` speak with each other. */
async function speaks(
  files: TlsFiles,
  server: IssuedCertificate,
  trusted: string,
  cert = server.chainPem,
): Promise<boolean> {
  const mutual = { cert, key: server.keyPem(), ca: trusted, requestCert: true, rejectUnauthorized: true }
  await using listener = await startHttps(mutual)
  await using origin = originFor(listener.port, { files })
  return (await origin.request('/x')).status === 200
}

/** Gives the warnings about a client certificate. */
function warningsFor(certificate: IssuedCertificate, name: string, now = Date.now()): readonly string[] {
  const { warnings } = loadTlsFiles({ caFile, ...pki.writePair(name, certificate) }, { names, now })
  return warnings.filter((warning) => warning.startsWith(names.certFile))
}

// RSA keys of 4096 bits take seconds to make on a busy machine.
describe('loadTlsFiles, with files that are right', { timeout: 60_000 }, () => {
  it.each<[KeyKind, KeyFormat]>([
    ['ec-p256', 'pkcs8'],
    ['ec-p256', 'sec1'],
    ['ec-p384', 'pkcs8'],
    ['rsa-2048', 'pkcs8'],
    ['rsa-2048', 'pkcs1'],
  ])('speaks mutual TLS with a %s key as %s [T23] [P17]', async (key, format) => {
    const own = await book.issue('client', { key })
    const files = { caFile, ...pki.writePair(`client-${key}-${format}`, own, format) }
    expect(loadTlsFiles(files)).toMatchObject({ problems: [], warnings: [], material: { client: { chainLength: 2 } } })
    expect(await speaks(files, await book.issue('verifier', { key }), root.pem)).toBe(true)
  })

  it('accepts a root and an intermediate of RSA 4096 with leaves of EC P-256 and RSA 2048 [T10]', async () => {
    const bigRoot = await pki.root('Big root', {
      key: 'rsa-4096',
      subject: 'CN=Big root,O=Funlab.Casa,OU=Tower of Omens,C=US',
    })
    const bigBook = await bigRoot.intermediate('Big book', { key: 'rsa-4096' })
    const [server, client] = [
      await bigBook.issue('verifier', { key: 'ec-p256' }),
      await bigBook.issue('spire', { key: 'rsa-2048' }),
    ]
    const files = { caFile: pki.write('big.crt', bigRoot.pem), ...pki.writePair('big-client', client) }
    expect(await speaks(files, server, bigRoot.pem)).toBe(true)
  })

  describe.each([
    ['the root only', (): string => root.pem, /sends only its leaf/],
    ['root and intermediate', (): string => book.pem + root.pem, /^accepted$/],
    ['the intermediate only', (): string => book.pem, /^accepted$/],
  ])('when the CA file holds %s', (_what, ca, leafOnly) => {
    it('accepts a server that sends its chain, and one that sends its leaf where the intermediate is known [T28] [P11]', async () => {
      const files = { caFile: pki.write('some-ca.crt', ca()), ...pair }
      const server = await book.issue('verifier')
      expect(await speaks(files, server, root.pem)).toBe(true)
      const outcome = speaks(files, server, root.pem, server.pem).then(() => 'accepted', String)
      expect(await outcome).toMatch(leafOnly)
    })
  })

  it('takes every block of a CA file, several roots and comments included [T28] [P11]', async () => {
    const other = await pki.root('Other root')
    const text = `# first\n${other.pem}\n# second\n${root.pem}`
    const files = { caFile: pki.write('several.crt', text), ...pair }
    expect(await speaks(files, await book.issue('verifier'), root.pem)).toBe(true)
    expect(await speaks(files, await other.issue('verifier'), root.pem)).toBe(true)
  })

  it('takes the right one of two roots with one name, in either order [T28] [P11]', async () => {
    const [old, fresh] = [await pki.root('Re-issued'), await pki.root('Re-issued')]
    for (const [index, text] of [old.pem + fresh.pem, fresh.pem + old.pem].entries()) {
      const files = { caFile: pki.write(`reissued-${index}.crt`, text), ...pair }
      expect(await speaks(files, await old.issue('verifier'), root.pem)).toBe(true)
      expect(await speaks(files, await fresh.issue('verifier'), root.pem)).toBe(true)
    }
  })

  it('takes a root that was re-issued over the same key, and a cross-signed one [T28]', async () => {
    const old = await pki.root('Root', { validity: 'expires-soon' })
    const renewed = await pki.root('Root', { key: old.key })
    const elder = await pki.root('Elder')
    const cross = await elder.intermediate('Root', { key: old.key })
    const server = await old.issue('verifier')
    const byNew = { caFile: pki.write('renewed.crt', renewed.pem), ...pair }
    expect(await speaks(byNew, server, root.pem)).toBe(true)
    const byElder = { caFile: pki.write('elder.crt', elder.pem), ...pair }
    expect(await speaks(byElder, server, root.pem, server.pem + cross.pem)).toBe(true)
  })

  it('names three certificates near their end, and counts the others of a large bundle', async () => {
    const soon = await Promise.all(
      Array.from({ length: 6 }, (_, index) => pki.root(`Soon ${index}`, { validity: 'expires-soon' })),
    )
    const bundle = pki.write('bundle.crt', [root, ...soon].map(({ pem }) => pem).join(''))
    const { problems, warnings } = loadTlsFiles({ caFile: bundle })
    expect(problems).toEqual([])
    expect(warnings).toHaveLength(4)
    expect(warnings[0]).toMatch(/root CN=Soon 0 expires in /)
    expect(warnings[3]).toBe(`CA file ${bundle}: and 3 more certificates like these`)
  })

  it("takes a Keylime agent's self-signed certificate as its own CA", async () => {
    const agent = await pki.selfSigned('agent', { dns: ['localhost'], ip: ['127.0.0.1'] })
    const files = { caFile: pki.write('agent.crt', agent.pem), ...pair }
    expect(await speaks(files, agent, root.pem)).toBe(true)
  })

  it('completes the client chain from the CA file when the certificate file lost it [P21]', async () => {
    const certFile = pki.write('leaf-only.crt', leaf.pem)
    const files = { caFile: pki.write('both.crt', book.pem + root.pem), certFile, keyFile: pair.keyFile }
    expect(loadTlsFiles(files)).toMatchObject({ problems: [], warnings: [], material: { client: { chainLength: 2 } } })
    expect(await speaks(files, await book.issue('verifier'), root.pem)).toBe(true)
  })

  it('finds the leaf in a certificate file that begins with the intermediate', async () => {
    const certFile = pki.write('reversed.crt', book.pem + leaf.pem)
    const files = { caFile, certFile, keyFile: pair.keyFile }
    expect(loadTlsFiles(files).material?.client?.subject).toBe('CN=spire')
    expect(await speaks(files, await book.issue('verifier'), root.pem)).toBe(true)
  })

  it('uses the roots of the system when no CA file is named', () => {
    const { problems, material } = loadTlsFiles({})
    expect(problems).toEqual([])
    expect(material).toMatchObject({ anchors: [] })
    expect(material).not.toHaveProperty('caFile')
  })
})

describe('loadTlsFiles, with files that are wrong', () => {
  it('tells all problems at once, each with its key and path', () => {
    const files = {
      caFile: pki.write('ca-empty.crt', ''),
      certFile: pki.write('not.crt', 'hello'),
      keyFile: `${pki.folder}/none.key`,
    }
    expect(loadTlsFiles(files, { names })).toEqual({
      problems: [
        `keylime_tls_ca_cert_file ${files.caFile}: is empty`,
        `keylime_tls_cert_file ${files.certFile}: is not PEM: there is no BEGIN line`,
        `keylime_tls_key_file ${files.keyFile}: does not exist`,
      ],
      warnings: [],
    })
  })

  it('wants certificate and key, or neither [T29]', () => {
    const { certFile, keyFile } = pair
    expect(loadTlsFiles({ caFile, certFile }, { names }).problems).toEqual([
      'keylime_tls_cert_file is set and keylime_tls_key_file is not: set both or neither',
    ])
    expect(loadTlsFiles({ caFile, keyFile }, { names }).problems).toEqual([
      'keylime_tls_key_file is set and keylime_tls_cert_file is not: set both or neither',
    ])
  })

  it('says that the key is not that of the certificate [T23] [P17]', async () => {
    const other = await book.issue('other')
    const keyFile = pki.write('other.key', other.keyPem())
    expect(loadTlsFiles({ caFile, certFile: pair.certFile, keyFile }, { names }).problems).toEqual([
      `keylime_tls_key_file ${keyFile}: is not the key of keylime_tls_cert_file ${pair.certFile}, which is for CN=spire with another EC prime256v1 key; replace both together`,
    ])
  })

  it('says that the key is encrypted [T23]', () => {
    const keyFile = pki.write('encrypted.key', leaf.keyPem('encrypted'))
    const { problems } = loadTlsFiles({ caFile, certFile: pair.certFile, keyFile }, { names })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`keylime_tls_key_file ${keyFile}: is encrypted`)
  })

  it('says that key and certificate files were exchanged', () => {
    const { problems } = loadTlsFiles({ caFile, certFile: pair.keyFile, keyFile: pair.certFile }, { names })
    expect(problems).toEqual([
      `keylime_tls_cert_file ${pair.keyFile}: holds no certificate, only PRIVATE KEY`,
      `keylime_tls_key_file ${pair.certFile}: holds no private key, only CERTIFICATE`,
    ])
  })

  it('refuses a client certificate that has expired [P13]', async () => {
    const files = pki.writePair('expired', await book.issue('old', { validity: 'expired' }))
    const { problems, material } = loadTlsFiles({ caFile, ...files }, { names })
    expect(problems).toEqual([
      expect.stringMatching(
        /^keylime_tls_cert_file .*: CN=old expired \d+ (minutes|hours|days) ago \(2.*Z\)$/,
      ) as string,
    ])
    expect(material).toBeUndefined()
  })

  it('warns of certificates that are not valid yet, and takes them [tls:clock:heals]', async () => {
    const validity = 'not-yet-valid'
    const young = await pki.root('Young root', { validity })
    const files = pki.writePair('young', await young.issue('young', { validity }))
    const { problems, warnings, material } = loadTlsFiles(
      { caFile: pki.write('young-ca.crt', young.pem), ...files },
      { names },
    )
    expect({ problems, isThere: material !== undefined }).toEqual({ problems: [], isThere: true })
    expect(warnings.join()).toMatch(
      /keylime_tls_ca_cert_file .*: root CN=Young root is not valid before 2.*is the clock right\?/,
    )
    expect(warnings.join()).toMatch(/keylime_tls_cert_file .*: CN=young is not valid before 2.*is the clock right\?/)
  })

  it('refuses a CA file in which nothing is valid, and warns of one in which something is', async () => {
    const old = await pki.root('Old root', { validity: 'expired' })
    const dead = pki.write('dead.crt', old.pem)
    expect(loadTlsFiles({ caFile: dead }, { names }).problems[0]).toMatch(
      /keylime_tls_ca_cert_file .*: root CN=Old root expired/,
    )
    const mixed = loadTlsFiles({ caFile: pki.write('mixed.crt', old.pem + root.pem) }, { names })
    expect(mixed.problems).toEqual([])
    expect(mixed.warnings[0]).toMatch(/root CN=Old root expired/)
    expect(mixed.material?.anchors).toHaveLength(2)
  })

  it('refuses a CA file of which the last block is cut, or is no certificate', () => {
    const cut = pki.write('cut.crt', root.pem + book.pem.slice(0, 200))
    expect(loadTlsFiles({ caFile: cut }).problems[0]).toMatch(/has no end: half written\?$/)
    const bogus = pki.write('bogus.crt', '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n')
    expect(loadTlsFiles({ caFile: bogus }).problems).toEqual([
      `CA file ${bogus}: the certificate in line 1 cannot be parsed`,
    ])
  })
})

describe('loadTlsFiles, warnings', () => {
  it('warns when a third of a life is left, for one day and for one year alike [P13]', async () => {
    const begin = Date.now() - 3_600_000
    for (const life of [86_400_000, 365 * 86_400_000]) {
      const validity = { notBefore: new Date(begin), notAfter: new Date(begin + life) }
      const certificate = await book.issue('short', { validity })
      expect(warningsFor(certificate, `life-${life}`, begin + life * 0.6)).toEqual([])
      expect(warningsFor(certificate, `life-${life}`, begin + life * 0.75)[0]).toMatch(
        /CN=short expires in .*, 25 % of its life left$/,
      )
    }
  })

  it('warns of a chain that ends before a root [P21]', () => {
    const certFile = pki.write('incomplete.crt', leaf.pem)
    expect(loadTlsFiles({ caFile, certFile, keyFile: pair.keyFile }, { names }).warnings).toEqual([
      `keylime_tls_cert_file ${certFile}: the chain ends at CN=spire: its issuer CN=Book of Omens is not in the file; if that is an intermediate, append it, or a server that trusts only the root refuses the certificate`,
    ])
  })

  it('warns of a certificate that is not for clients, and of one that Keylime takes for anonymous', async () => {
    const serverOnly = await book.issue('agent', { eku: ['serverAuth'] })
    expect(warningsFor(serverOnly, 'server-only')[0]).toContain('CN=agent is not for client authentication')
    const nameless = await book.issue('nameless', { subject: 'O=Funlab.Casa' })
    expect(warningsFor(nameless, 'nameless')[0]).toContain('O=Funlab.Casa has no common name: a Keylime 7.14 verifier')
  })

  it('warns of a key that every user can read', () => {
    const keyFile = pki.write('open.key', leaf.keyPem(), 0o644)
    const { warnings } = loadTlsFiles({ caFile, certFile: pair.certFile, keyFile }, { names })
    expect(warnings).toEqual([
      `keylime_tls_key_file ${keyFile}: every user of this machine can read it (mode 0644); 0600 or 0640 is enough`,
    ])
  })

  it('warns of a private key in the CA file', () => {
    const file = pki.write('with-key.crt', root.pem + root.keyPem())
    expect(loadTlsFiles({ caFile: file }).warnings[0]).toMatch(
      /holds a private key in line \d+, which is not needed there$/,
    )
  })
})
