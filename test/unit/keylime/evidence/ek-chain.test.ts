import { createHash, sign, X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { bitString, sequence } from '../../../../plugins/go-plugin/tls/der.ts'
import { type EkAnchors, loadEkAnchors, verifyEkChain } from '../../../../plugins/keylime/evidence/ek-chain.ts'
import { issueEkCertificate, newEkCa } from '../../../fakes/ek-certificate.ts'
import { type CertificateOptions, newTestPki, type TestCa, type TestPki } from '../../../fakes/pki.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { outcomeOf } from '../../tpm/outcome.ts'
import { flipBit } from '../../tpm/recorded-node.ts'

// Large RSA keys are made here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let pki: TestPki
let root: TestCa
let issuer: TestCa
let ekCert: Buffer
const tpm = new SoftwareTpm({ slot: 1 })
const RSA_ENCRYPTION = Buffer.from('06092a864886f70d010101', 'hex')

beforeAll(async () => {
  pki = newTestPki()
  ;({ root, issuer } = await newEkCa(pki))
  ekCert = await certify(issuer)
})
afterAll(() => pki.remove())

async function certify(ca: TestCa, options: CertificateOptions = {}): Promise<Buffer> {
  return Buffer.from((await issueEkCertificate(ca, tpm, options)).x509.raw)
}

function fingerprintOf(ca: TestCa): string {
  return createHash('sha256').update(ca.x509.raw).digest('hex')
}

/** The same certificate for a key of RSAES-OAEP kind, signed anew. */
function withUnreadableKey(der: Buffer, ca: TestCa): Buffer {
  const [body = Buffer.alloc(0), algorithm = Buffer.alloc(0)] = membersOf(der)
  const kind = body.indexOf(RSA_ENCRYPTION)
  expect(kind).toBeGreaterThan(0)
  const changed = Buffer.from(body)
  changed.writeUInt8(7, kind + RSA_ENCRYPTION.length - 1)
  return sequence(changed, algorithm, bitString(sign('sha256', changed, ca.keyPem())))
}

/** The elements of a DER sequence, each with its header. */
function membersOf(der: Buffer): Buffer[] {
  const members: Buffer[] = []
  for (let at = endOfHeader(der, 0); at < der.length; ) {
    const body = endOfHeader(der, at)
    const short = der.readUInt8(at + 1)
    const end = body + (short < 0x80 ? short : der.readUIntBE(at + 2, short - 0x80))
    members.push(der.subarray(at, end))
    at = end
  }
  return members
}

function endOfHeader(der: Buffer, at: number): number {
  const short = der.readUInt8(at + 1)
  return at + 2 + (short < 0x80 ? 0 : short - 0x80)
}

let files = 0
function anchors(...pems: readonly string[]): EkAnchors {
  const loaded = loadEkAnchors(pki.write(`anchors-${files++}.pem`, pems.join('\n')))
  if (loaded.anchors === undefined) throw new Error(loaded.problems.join('; '))
  return loaded.anchors
}

const judge = (der: Uint8Array | undefined, trusted: EkAnchors, now?: Date): string =>
  outcomeOf(() => verifyEkChain(der, trusted, now))
const rejected = (reason: string): string => `KEYLIME_QUOTE_REJECTED: EK certificate rejected: ${reason}`

describe('verifyEkChain', () => {
  it('names the root and the issuer of a certificate with the critical directory name [T13]', async () => {
    expect(verifyEkChain(ekCert, anchors(root.pem, issuer.pem))).toEqual({
      validUntil: expect.any(Number) as number,
      caFingerprint: fingerprintOf(root),
      caFingerprints: [fingerprintOf(issuer), fingerprintOf(root)],
    })
  })

  it('is content with an intermediate alone, in any order and beside strangers [T13]', async () => {
    const stranger = await pki.root('swtpm-localca-rootca')
    expect(judge(ekCert, anchors(issuer.pem))).toBe('accepted')
    expect(verifyEkChain(ekCert, anchors(stranger.pem, issuer.pem, root.pem)).caFingerprint).toBe(fingerprintOf(root))
  })

  it('refuses an unknown CA, even one of the same name [T13]', async () => {
    const { root: otherRoot, issuer: otherIssuer } = await newEkCa(pki)
    expect(judge(ekCert, anchors(otherRoot.pem, otherIssuer.pem))).toBe(
      rejected('its issuer is not trusted: CN=swtpm-localca (ek_ca_path holds 2 other CA certificates)'),
    )
    expect(judge(ekCert, anchors(root.pem))).toBe(
      rejected('its issuer is not trusted: CN=swtpm-localca (ek_ca_path holds 1 other CA certificates)'),
    )
  })

  it('refuses a certificate whose signature is not that of the CA it names [T13]', () => {
    const forged = flipBit(ekCert, ekCert.length * 8 - 1)
    expect(judge(forged, anchors(root.pem, issuer.pem))).toMatch(
      /rejected: its issuer is not trusted: CN=swtpm-localca /,
    )
  })

  it('refuses a CA of another name with the key of the right one', async () => {
    const renamed = await pki.root('renamed', { key: issuer.key })
    expect(judge(ekCert, anchors(renamed.pem))).toMatch(/rejected: its issuer is not trusted: CN=swtpm-localca /)
  })

  it('refuses a node without certificate, and one that does not parse', () => {
    expect(judge(undefined, anchors(root.pem))).toBe(rejected('the keylime registrar holds none for this agent'))
    expect(judge(Buffer.from('x'), anchors(root.pem))).toBe(rejected('it does not parse'))
  })

  it('judges the dates of every certificate at the given time', () => {
    const trusted = anchors(root.pem, issuer.pem)
    expect(judge(ekCert, trusted, new Date('2001-01-01'))).toMatch(/rejected: it is not valid before /)
    expect(judge(ekCert, trusted, new Date('2999-01-01'))).toMatch(/rejected: it is expired since /)
  })

  it('takes a certificate that is valid until the year 9999, as TPM makers write it', async () => {
    const endless = await certify(issuer, {
      validity: { notBefore: new Date('2020-01-01'), notAfter: new Date('9999-12-31T23:59:59Z') },
    })
    expect(judge(endless, anchors(issuer.pem))).toBe('accepted')
  })

  it('says that the right CA is there but expired', async () => {
    const old = await pki.root('old-ca', { validity: 'expired' })
    const der = await certify(old)
    expect(judge(der, anchors(old.pem))).toMatch(
      /rejected: its issuer is not trusted: CN=old-ca \(its certificate in ek_ca_path is expired since /,
    )
  })

  it('refuses a certificate made for another purpose, and a CA', async () => {
    const web = await certify(issuer, { eku: ['1.3.6.1.5.5.7.3.1'] })
    expect(judge(web, anchors(issuer.pem))).toBe(
      rejected('its extended key usage is 1.3.6.1.5.5.7.3.1, expected 2.23.133.8.1'),
    )
    expect(judge(Buffer.from(issuer.x509.raw), anchors(root.pem))).toBe(rejected('it is a CA certificate'))
  })

  it('refuses a certificate whose key cannot be read: it may be of another TPM [T13]', () => {
    const der = withUnreadableKey(ekCert, issuer)
    expect(new X509Certificate(der).checkIssued(issuer.x509)).toBe(true)
    expect(judge(der, anchors(issuer.pem))).toBe(
      rejected('its public key is of a kind that cannot be read, so it cannot be compared with the registered EK'),
    )
  })

  it('ends when CAs certify each other in a circle', async () => {
    const chain = [root]
    for (let depth = 0; depth < 12; depth++) chain.push(await (chain.at(-1) ?? root).intermediate(`ca-${depth}`))
    const der = await certify(chain.at(-1) ?? root)
    expect(verifyEkChain(der, anchors(...chain.map((ca) => ca.pem))).caFingerprints).toHaveLength(8)
  })
})

describe('loadEkAnchors', () => {
  it('reads PEM and DER files of a folder, and leaves other files alone', () => {
    const folder = join(pki.folder, 'store')
    mkdirSync(folder)
    mkdirSync(join(folder, 'old.pem'))
    pki.write('store/root.pem', `Maker's root\n${root.pem}\n`)
    pki.write('store/issuer.der', Buffer.from(issuer.x509.raw))
    pki.write('store/README', 'nothing')
    const { problems, anchors: loaded } = loadEkAnchors(folder)
    expect(problems).toEqual([])
    expect(loaded?.certificates).toHaveLength(2)
  })

  it('names each file that is no use', async () => {
    const leaf = pki.write('leaf.pem', (await issueEkCertificate(issuer, tpm)).pem)
    const noise = pki.write('noise.pem', 'noise')
    const empty = join(pki.folder, 'empty')
    mkdirSync(empty)
    expect(loadEkAnchors(leaf)).toEqual({ problems: [`${leaf}: CN=unknown is not a CA certificate`] })
    expect(loadEkAnchors(noise)).toEqual({ problems: [`${noise}: does not hold a PEM or DER certificate`] })
    expect(loadEkAnchors(empty)).toEqual({ problems: [`${empty}: no certificate found`] })
    expect(loadEkAnchors(join(empty, 'none')).problems[0]).toMatch(/none: ENOENT/)
    const large = pki.write('large.pem', Buffer.alloc(1_048_577))
    expect(loadEkAnchors(large).problems).toEqual([`${large}: 1048577 bytes, expected at most 1048576`])
  })
})
