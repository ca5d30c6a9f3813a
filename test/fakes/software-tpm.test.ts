import { X509Certificate } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { issueEkCertificate, newEkCa } from './ek-certificate.ts'
import { newTestPki } from './pki.ts'
import type { KeyKind } from './pki-keys.ts'
import { checkQuote, publicKeyOf } from './quote-check.ts'
import { recordedResults } from './recorded.ts'
import { SoftwareTpm } from './software-tpm.ts'
import {
  AK_ATTRIBUTES,
  type BankHash,
  digest,
  EK_ATTRIBUTES,
  encodeAttest,
  encodePcrBlob,
  encodeSignature,
  encodeTpm2bPublic,
  endorsementHandle,
  nameOfPublic,
  qualifiedNameBelow,
} from './tpm-bytes.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

const NONCE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const quote = String(recordedResults('agent-quote')['quote'])
const registered = recordedResults('registrar-agent')
const recordedAk = Buffer.from(String(registered['aik_tpm']), 'base64')
const recordedEk = Buffer.from(String(registered['ek_tpm']), 'base64')
const [attest, signature, blob] = quote
  .slice(1)
  .split(':')
  .map((part) => Buffer.from(part, 'base64'))

const facts = ({ subject, issuer, subjectAltName, keyUsage, ca }: X509Certificate) => [
  subject,
  issuer,
  subjectAltName,
  keyUsage,
  ca,
]

describe('tpm-bytes', () => {
  it('writes the recorded endorsement and attestation keys byte for byte', () => {
    const sha256 = { nameAlg: 'sha256', schemeHash: 'sha256' } as const
    const ek = { ...sha256, attributes: EK_ATTRIBUTES, template: 'ek' } as const
    const ak = { ...sha256, attributes: AK_ATTRIBUTES, template: 'ak' } as const
    expect(encodeTpm2bPublic(publicKeyOf(recordedEk), ek)).toEqual(recordedEk)
    expect(encodeTpm2bPublic(publicKeyOf(recordedAk), ak)).toEqual(recordedAk)
  })

  it('writes the recorded quote byte for byte from its fields', () => {
    const ekName = qualifiedNameBelow(endorsementHandle(), nameOfPublic(recordedEk, 'sha256'), 'sha256')
    const pem = Buffer.from(String(recordedResults('agent-quote')['pubkey']))
    const pcr16 = digest('sha256', Buffer.alloc(32), digest('sha256', pem))
    const written = encodeAttest({
      magic: 0xff544347,
      type: 0x8018,
      qualifiedSigner: qualifiedNameBelow(ekName, nameOfPublic(recordedAk, 'sha256'), 'sha256'),
      extraData: Buffer.from(NONCE),
      clock: 80118n,
      resetCount: 2,
      restartCount: 0,
      safe: true,
      bank: 'sha256',
      pcrs: [16],
      pcrDigest: digest('sha256', pcr16),
    })
    expect(written).toEqual(attest)
    expect(encodePcrBlob('sha256', new Map([[16, pcr16]]))).toEqual(blob)
    expect(encodeSignature(true, 'sha256', signature?.subarray(6) ?? Buffer.alloc(0))).toEqual(signature)
  })
})

describe('SoftwareTpm', () => {
  it.each<[KeyKind, BankHash]>([
    ['rsa-2048', 'sha256'],
    ['rsa-3072', 'sha384'],
    ['ec-p256', 'sha256'],
    ['ec-p384', 'sha384'],
  ])('makes quotes with a %s key under %s that verify', (ak, hash) => {
    const tpm = new SoftwareTpm({ ek: 'ec-p256', ak, hash })
    const made = tpm.quote(NONCE)
    expect(checkQuote({ quote: made, nonce: NONCE, hashAlg: hash, akTpm: tpm.akTpm })).toEqual({ valid: 1 })
  })

  it('makes quotes as long as the recorded one', () => {
    expect(new SoftwareTpm({ ek: 'ec-p256', slot: 0 }).quote(NONCE)).toHaveLength(quote.length)
  })

  it('binds its payload key into PCR 16 of every quote and none twice', () => {
    const tpm = new SoftwareTpm({ ak: 'ec-p256', ek: 'ec-p256' })
    tpm.quote(NONCE)
    tpm.quote(NONCE)
    const key = digest('sha256', Buffer.from(tpm.payloadPem))
    expect(tpm.pcr(16)).toEqual(digest('sha256', Buffer.alloc(32), key))
  })

  it('names itself by its endorsement key as Keylime does', () => {
    const pem = publicKeyOf(recordedEk).export({ type: 'spki', format: 'pem' })
    expect(digest('sha256', Buffer.from(pem)).toString('hex')).toBe(registered['agent_id'])
    expect(new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' }).ekUuid).toMatch(/^[0-9a-f]{64}$/)
  })

  it('carries an EK certificate like the recorded one, critical name included', async () => {
    const real = new X509Certificate(Buffer.from(String(registered['ekcert']), 'base64'))
    const { root, issuer } = await newEkCa(pki)
    const tpm = new SoftwareTpm({ ak: 'ec-p256' })
    const made = await issueEkCertificate(issuer, tpm)
    expect(facts(made.x509)).toEqual(facts(real))
    expect(made.x509.verify(issuer.x509.publicKey)).toBe(true)
    expect(issuer.x509.checkIssued(root.x509)).toBe(true)
    expect(made.x509.publicKey.equals(publicKeyOf(tpm.ekTpm))).toBe(true)
  })
})

describe('checkQuote', () => {
  const tpm = new SoftwareTpm({ ek: 'ec-p256', ak: 'rsa-2048', slot: 0 })
  const other = new SoftwareTpm({ ek: 'ec-p256', ak: 'rsa-2048', slot: 1 })
  const ask = (text: string, changes: object = {}) =>
    checkQuote({ quote: text, nonce: NONCE, hashAlg: 'sha256', akTpm: tpm.akTpm, ...changes })

  it('accepts the recorded quote under the recorded key', () => {
    expect(ask(quote, { akTpm: recordedAk })).toEqual({ valid: 1 })
  })

  it.each([
    ['verify-identity-other-nonce', quote, { nonce: '765432ZYXWVUTSRQPONMLKJIHGFEDCBA' }],
    ['verify-identity-bad-hash-alg', quote, { hashAlg: 'md5' }],
    ['verify-identity-garbage-quote', 'rQUJD:QUJD:QUJD', {}],
  ])('refuses in the words of the real verifier: %s', (name, text, changes) => {
    expect(ask(text, { akTpm: recordedAk, ...changes })).toEqual(recordedResults(name))
  })

  it.each([
    ['another key', tpm.quote(NONCE, { signer: other }), /Invalid signature/],
    ['another nonce', tpm.quote('A'.repeat(32)), /nonce from the attestation differs/],
    ['another bank hash', tpm.quote(NONCE, { signatureHash: 'sha384' }), /unexpected hash/],
    ['changed bytes', tpm.quote(NONCE, { afterSigning: (bytes) => Buffer.concat([bytes, bytes]) }), /signature/],
    ['another magic', tpm.quote(NONCE, { magic: 1 }), /Bad magic/],
    ['another type', tpm.quote(NONCE, { type: 0x8017 }), /Bad type/],
    ['another digest', tpm.quote(NONCE, { pcrDigest: Buffer.alloc(32) }), /digest used for quoting/],
    ['no parts', 'r', /format|unpack/],
  ])('refuses a quote with %s', (_name, text, reason) => {
    const verdict = ask(text)
    expect(verdict.valid).toBe(0)
    expect(verdict.valid === 0 && verdict.reason).toMatch(reason)
  })

  it('accepts what only the server half checks: the signer name and the selected PCRs', () => {
    expect(ask(tpm.quote(NONCE, { qualifiedSigner: other.akQualifiedName }))).toEqual({ valid: 1 })
    expect(ask(tpm.quote(NONCE, { pcrs: [16, 23] }))).toEqual({ valid: 1 })
  })
})
