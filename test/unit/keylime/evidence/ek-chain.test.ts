import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { sequence, unsignedInteger } from '../../../../plugins/go-plugin/tls/der.ts'
import { anchorDates, type EkAnchors, loadEkAnchors } from '../../../../plugins/keylime/evidence/ek-anchors.ts'
import { type EkChain, judgeEkChain } from '../../../../plugins/keylime/evidence/ek-chain.ts'
import { parseTpm2bPublic } from '../../../../plugins/tpm/public.ts'
import { issueEkCertificate, newEkCa } from '../../../fakes/ek-certificate.ts'
import { type CertificateOptions, newTestPki, type TestCa, type TestPki } from '../../../fakes/pki.ts'
import { reissued, subjectKey } from '../../../fakes/reissued.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { flipBit } from '../../tpm/recorded-node.ts'

// Large RSA keys are made here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let pki: TestPki
let root: TestCa
let issuer: TestCa
let ekCert: Buffer
const tpm = new SoftwareTpm({ slot: 1 })
const ek = parseTpm2bPublic(tpm.ekTpm)
const DAY_MS = 86_400_000

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

let files = 0
function anchors(...pems: readonly string[]): EkAnchors {
  const loaded = loadEkAnchors(pki.write(`anchors-${files++}.pem`, pems.join('\n')))
  if (loaded.anchors === undefined) throw new Error(loaded.problems.join('; '))
  return loaded.anchors
}

const judge = (der: Uint8Array, trusted: EkAnchors, now = new Date(), decide = false): string => {
  const found = judgeEkChain(der, ek, trusted, { now, decide })
  return 'fault' in found ? `${found.fault}: ${found.reason}` : (found.outOfDate ?? 'accepted')
}

function chainOf(der: Uint8Array, trusted: EkAnchors): EkChain {
  const found = judgeEkChain(der, ek, trusted, { now: new Date(), decide: true })
  if ('fault' in found) throw new Error(found.reason)
  return found
}

const digits = (min: number, max: number) => fc.integer({ min, max }).map((n) => String(n).padStart(2, '0'))

describe('judgeEkChain', () => {
  it('names the root and the issuer of a certificate with the critical directory name [T13]', async () => {
    expect(chainOf(ekCert, anchors(root.pem, issuer.pem))).toEqual({
      validUntil: expect.any(Number) as number,
      caFingerprint: fingerprintOf(root),
      caFingerprints: [fingerprintOf(issuer), fingerprintOf(root)],
    })
  })

  it('is content with an intermediate alone, in any order and beside strangers [T13]', async () => {
    const stranger = await pki.root('swtpm-localca-rootca')
    expect(judge(ekCert, anchors(issuer.pem))).toBe('accepted')
    expect(chainOf(ekCert, anchors(stranger.pem, issuer.pem, root.pem)).caFingerprint).toBe(fingerprintOf(root))
  })

  it('says of an unknown CA that it is not ours, even of one of the same name [T13] [claims:ek:issuer-unknown]', async () => {
    const { root: otherRoot, issuer: otherIssuer } = await newEkCa(pki)
    expect(judge(ekCert, anchors(otherRoot.pem, otherIssuer.pem))).toBe(
      'issuer-unknown: its issuer is not in ek_ca_path: CN=swtpm-localca (2 CA certificates are there)',
    )
    expect(judge(ekCert, anchors(root.pem))).toBe(
      'issuer-unknown: its issuer is not in ek_ca_path: CN=swtpm-localca (1 CA certificates are there)',
    )
  })

  it('refuses a certificate whose signature is not that of the CA it names [T13]', () => {
    const forged = flipBit(ekCert, ekCert.length * 8 - 1)
    expect(judge(forged, anchors(root.pem, issuer.pem))).toBe(
      'untrusted: it names CN=swtpm-localca as its issuer and is not signed by it',
    )
  })

  it('does not know a CA of another name with the key of the right one', async () => {
    const renamed = await pki.root('renamed', { key: issuer.key })
    expect(judge(ekCert, anchors(renamed.pem))).toMatch(/^issuer-unknown: .*CN=swtpm-localca /)
  })

  it('gives no verdict on what it cannot read [claims:ek:key-forms]', () => {
    expect(judge(Buffer.from('x'), anchors(root.pem))).toBe('unreadable: it does not parse')
  })

  it('says what is out of date, and refuses for it only where dates decide [claims:ek:dates]', () => {
    const trusted = anchors(root.pem, issuer.pem)
    for (const [now, words] of [
      [new Date('2001-01-01'), /^it is not valid before /],
      [new Date('2999-01-01'), /^it is expired since /],
    ] as const) {
      expect(judge(ekCert, trusted, now)).toMatch(words)
      expect(judge(ekCert, trusted, now, true)).toMatch(new RegExp(`^dates: ${words.source.slice(1)}`))
    }
    expect(judge(ekCert, trusted, new Date(), true)).toBe('accepted')
  })

  it('never takes dates that cannot be read for good ones [claims:ek:unreadable-dates]', () => {
    const trusted = anchors(root.pem, issuer.pem)
    const wrong = fc.oneof(
      fc.tuple(digits(0, 49), fc.constantFrom('00', '13', '99'), digits(1, 28), digits(0, 23)),
      fc.tuple(digits(0, 49), digits(1, 12), fc.constantFrom('00', '32', '99'), digits(0, 23)),
      fc.tuple(digits(0, 49), digits(1, 12), digits(1, 28), fc.constantFrom('24', '61')),
    )
    const right = '490101000000Z'
    fc.assert(
      fc.property(wrong, fc.boolean(), fc.boolean(), ([year, month, day, hour], isFirst, decide) => {
        const date = `${year}${month}${day}${hour}0000Z`
        const der = reissued(ekCert, issuer, { dates: isFirst ? [date, right] : ['200101000000Z', date] })
        expect(judge(der, trusted, new Date(), decide)).toMatch(
          /^(?:dates: it is dated in a way that cannot be read|unreadable: it does not parse)$/,
        )
      }),
      { numRuns: 60 },
    )
  })

  it('takes a certificate that is valid until the year 9999, as TPM makers write it', async () => {
    const endless = await certify(issuer, {
      validity: { notBefore: new Date('2020-01-01'), notAfter: new Date('9999-12-31T23:59:59Z') },
    })
    expect(judge(endless, anchors(issuer.pem))).toBe('accepted')
  })

  it('goes by a CA certificate that has expired, and prefers one that has not [claims:ek:dates]', async () => {
    const old = await pki.root('old-ca', { validity: 'expired' })
    const der = await certify(old)
    expect(judge(der, anchors(old.pem))).toMatch(/^the certificate of CN=old-ca in ek_ca_path is expired since /)
    expect(judge(der, anchors(old.pem), new Date(), true)).toMatch(
      /^dates: the certificate of CN=old-ca in ek_ca_path is expired since /,
    )
    const renewed = await pki.root('old-ca', { key: old.key })
    expect(judge(der, anchors(old.pem, renewed.pem), new Date(), true)).toBe('accepted')
    expect(judge(der, anchors(old.pem, renewed.pem))).toBe('accepted')
  })

  it('keeps naming the same root when that expires [claims:ek:dates]', async () => {
    const top = await pki.root('old-root', { validity: 'expired' })
    const middle = await top.intermediate('living-issuer')
    const found = judgeEkChain(await certify(middle), ek, anchors(top.pem, middle.pem), {
      now: new Date(),
      decide: false,
    })
    expect(found).toMatchObject({
      caFingerprint: fingerprintOf(top),
      outOfDate: expect.stringContaining('old-root') as string,
    })
  })

  it('refuses a certificate made for another purpose, and a CA', async () => {
    const web = await certify(issuer, { eku: ['1.3.6.1.5.5.7.3.1'] })
    expect(judge(web, anchors(issuer.pem))).toBe(
      'untrusted: its extended key usage is 1.3.6.1.5.5.7.3.1, expected 2.23.133.8.1',
    )
    expect(judge(Buffer.from(issuer.x509.raw), anchors(root.pem))).toBe('untrusted: it is a CA certificate')
  })

  it('refuses a certificate of another TPM, and one whose key cannot be read [T13]', async () => {
    const other = new SoftwareTpm({ slot: 2 })
    const foreign = Buffer.from((await issueEkCertificate(issuer, other)).x509.raw)
    expect(judge(foreign, anchors(issuer.pem))).toBe('untrusted: it is for another key than the registered EK')
    const noKey = reissued(ekCert, issuer, {
      key: subjectKey('1.2.840.113549.1.1.1', Buffer.from('0500', 'hex'), Buffer.from('3000', 'hex')),
    })
    expect(judge(noKey, anchors(issuer.pem))).toBe('unreadable: its public key is in no form that is known here')
  })

  it('takes an RSA key under the OID of RSAES-OAEP, as makers have written it [claims:ek:key-forms]', () => {
    const { n = '', e = '' } = tpm.ek.publicKey.export({ format: 'jwk' })
    const key = sequence(unsignedInteger(Buffer.from(n, 'base64url')), unsignedInteger(Buffer.from(e, 'base64url')))
    const oaep = reissued(ekCert, issuer, { key: subjectKey('1.2.840.113549.1.1.7', Buffer.from('3000', 'hex'), key) })
    expect(judge(oaep, anchors(issuer.pem), new Date(), true)).toBe('accepted')
  })

  it('ends when CAs certify each other in a circle', async () => {
    const chain = [root]
    for (let depth = 0; depth < 12; depth++) chain.push(await (chain.at(-1) ?? root).intermediate(`ca-${depth}`))
    const der = await certify(chain.at(-1) ?? root)
    expect(chainOf(der, anchors(...chain.map((ca) => ca.pem))).caFingerprints).toHaveLength(8)
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
    expect(loadEkAnchors(leaf)).toEqual({ warnings: [], problems: [`${leaf}: CN=unknown is not a CA certificate`] })
    expect(loadEkAnchors(noise)).toEqual({
      warnings: [],
      problems: [`${noise}: does not hold a PEM or DER certificate`],
    })
    expect(loadEkAnchors(empty)).toEqual({ warnings: [], problems: [`${empty}: no certificate found`] })
    expect(loadEkAnchors(join(empty, 'none')).problems[0]).toMatch(/none: ENOENT/)
    const large = pki.write('large.pem', Buffer.alloc(1_048_577))
    expect(loadEkAnchors(large).problems).toEqual([`${large}: 1048577 bytes, expected at most 1048576`])
  })

  it('leaves out a CA whose dates cannot be read, and says so [claims:ek:unreadable-dates]', () => {
    const folder = join(pki.folder, 'undated')
    mkdirSync(folder)
    pki.write('undated/right.pem', root.pem)
    pki.write(
      'undated/wrong.der',
      reissued(Buffer.from(issuer.x509.raw), root, { dates: ['200101000000Z', '261301000000Z'] }),
    )
    const { problems, warnings, anchors: loaded } = loadEkAnchors(folder)
    expect(problems).toEqual([])
    expect(warnings).toEqual([`${join(folder, 'wrong.der')}: CN=swtpm-localca is left out: its dates cannot be read`])
    expect(loaded?.certificates).toHaveLength(1)
  })
})

describe('anchorDates', () => {
  it('lists CAs that are out of date and those that end within 90 days [claims:ek:dates]', async () => {
    const ends = new Date('2026-12-21T00:00:00Z')
    const ca = await pki.root('ends', { validity: { notBefore: new Date('2006-12-21'), notAfter: ends } })
    const trusted = anchors(ca.pem)
    const at = (ms: number) =>
      anchorDates(trusted, ends.getTime() + ms).map(({ subject, stage, words }) => [subject, stage, words])
    expect(at(-91 * DAY_MS)).toEqual([])
    expect(at(-89 * DAY_MS)).toEqual([['CN=ends', 'soon', 'expires on 2026-12-21']])
    expect(at(1_000)).toEqual([['CN=ends', 'over', 'expired since Dec 21 00:00:00 2026 GMT']])
    expect(at(-21 * 365 * DAY_MS)).toEqual([['CN=ends', 'not-yet', 'not valid before Dec 21 00:00:00 2006 GMT']])
  })
})
