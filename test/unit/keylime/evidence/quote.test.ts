import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { Evidence } from '../../../../plugins/keylime/evidence/evidence.ts'
import { checkQuoteBinding, parseQuote, verifyQuote } from '../../../../plugins/keylime/evidence/quote.ts'
import type { HashAlg } from '../../../../plugins/tpm/algorithms.ts'
import { SoftwareTpm, type SoftwareTpmOptions } from '../../../fakes/software-tpm.ts'
import { AK_ATTRIBUTES, encodeTpm2bPublic } from '../../../fakes/tpm-bytes.ts'
import { outcomeOf } from '../../tpm/outcome.ts'
import {
  flipBit,
  quoteString,
  RECORDED_NONCE,
  RECORDED_PARTS,
  RECORDED_PUBKEY,
  RECORDED_QUOTE,
  RECORDED_RECORD,
} from '../../tpm/recorded-node.ts'

// Large RSA keys are made here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const NONCE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const policy = { allowedHashAlgs: ['sha256', 'sha384', 'sha512'] as readonly HashAlg[] }
const recordedEvidence: Evidence = {
  agentId: parseAgentId(RECORDED_RECORD.agentId),
  hashAlg: 'sha256',
  nonce: RECORDED_NONCE,
  quote: RECORDED_QUOTE,
  pubkey: RECORDED_PUBKEY,
}

function node(options: SoftwareTpmOptions = {}) {
  const tpm = new SoftwareTpm(options)
  const agentId = 'node-1'
  return { tpm, record: { agentId, akTpm: tpm.akTpm, ekTpm: tpm.ekTpm } }
}

function evidenceOf(tpm: SoftwareTpm, quote: string): Evidence {
  return { agentId: parseAgentId('node-1'), hashAlg: tpm.hash, nonce: NONCE, quote, pubkey: tpm.payloadPem }
}

const verifyRecorded = (changes: Partial<Evidence>): string =>
  outcomeOf(() => verifyQuote({ ...recordedEvidence, ...changes }, RECORDED_RECORD, policy))

describe('parseQuote', () => {
  it.each([
    ['an empty text', '', 'quote does not begin with "r"'],
    ['another first letter', `d${RECORDED_QUOTE.slice(1)}`, 'quote does not begin with "r"'],
    ['two parts', 'rQUJD:QUJD', 'quote has 2 parts, expected 3'],
    ['a fourth part', `${RECORDED_QUOTE}:QUJD`, 'quote has 4 parts, expected 3'],
    ['an empty part', 'r:QUJD:QUJD', 'quote part attest is not padded base64'],
    ['a stray character', RECORDED_QUOTE.replace(':', '\n:'), 'quote part attest is not padded base64'],
    ['white space at the end', `${RECORDED_QUOTE} `, 'quote part pcr is not padded base64'],
    ['no padding', RECORDED_QUOTE.replaceAll('=', ''), 'quote part attest is not padded base64'],
    ['compressed parts', 'reJw=:QUJD:QUJD', 'quote does not parse: TPMS_ATTEST magic: expected 4 bytes, found 2'],
    ['more than any quote', `r${'A'.repeat(5000)}`, 'quote is too long: expected at most 4096 characters, found 5001'],
  ])('refuses %s', (_title, text, message) => {
    expect(outcomeOf(() => parseQuote(text))).toBe(`KEYLIME_BAD_MESSAGE: ${message}`)
  })

  it('never throws anything but a typed error, whatever the text', () => {
    const part = fc.base64String({ maxLength: 60 })
    const text = fc.oneof(
      fc.string(),
      fc.tuple(part, part, part).map((parts) => `r${parts.join(':')}`),
      fc
        .tuple(fc.nat(RECORDED_QUOTE.length - 1), fc.string({ minLength: 1, maxLength: 2 }))
        .map(([at, with_]) => RECORDED_QUOTE.slice(0, at) + with_ + RECORDED_QUOTE.slice(at + 1)),
    )
    fc.assert(
      fc.property(text, (given) => {
        expect(outcomeOf(() => parseQuote(given))).toMatch(/^(?:accepted$|KEYLIME_BAD_MESSAGE: )/)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('checkQuoteBinding', () => {
  const parsed = parseQuote(RECORDED_QUOTE)
  const binding = { nonce: RECORDED_NONCE, hashAlg: 'sha256', ...policy } as const
  const check = (changes: object): string => outcomeOf(() => checkQuoteBinding(parsed, { ...binding, ...changes }))

  it('passes the recorded quote, with and without the public key', () => {
    expect([check({}), check({ pubkey: RECORDED_PUBKEY })]).toEqual(['accepted', 'accepted'])
  })

  it.each([
    ['a replayed quote with an old nonce [T62]', { nonce: '765432ZYXWVUTSRQPONMLKJIHGFEDCBA' }, 'nonce differs'],
    ['a nonce that only begins alike', { nonce: RECORDED_NONCE.slice(0, 31) }, 'nonce differs'],
    ['a nonce that goes on', { nonce: `${RECORDED_NONCE}A` }, 'nonce differs'],
    [
      'a hash out of favour',
      { allowedHashAlgs: ['sha384'] },
      'hash algorithm sha256 is not allowed, expected one of sha384',
    ],
    ['another hash than announced', { hashAlg: 'sha384' }, 'signature hash is sha256, expected sha384'],
    [
      'another public key',
      { pubkey: `${RECORDED_PUBKEY}\n` },
      'pcr 16 does not hold the public key of the keylime agent',
    ],
  ])('refuses %s', (_title, changes, reason) => {
    expect(check(changes)).toBe(`KEYLIME_QUOTE_REJECTED: identity quote rejected: ${reason}`)
  })
})

describe('verifyQuote', () => {
  it('proves the quote recorded from a real agent over a TPM emulator [T14]', () => {
    expect(verifyRecorded({})).toBe('accepted')
    expect(verifyRecorded({ pubkey: undefined })).toBe('accepted')
  })

  it('refuses the recorded quote under an old nonce [T62]', () => {
    expect(verifyRecorded({ nonce: 'A'.repeat(32) })).toBe(
      'KEYLIME_QUOTE_REJECTED: identity quote rejected: nonce differs',
    )
  })

  it('refuses the record of another agent', () => {
    expect(verifyRecorded({ agentId: parseAgentId(RECORDED_RECORD.agentId.toUpperCase()) })).toMatch(
      /^KEYLIME_BAD_RESPONSE: keylime registrar sent another record than that of 1D0CC2/,
    )
  })

  it('refuses every change of one bit in attest, signature or PCR values [T14]', () => {
    const accepted: string[] = []
    for (const [name, bytes] of Object.entries(RECORDED_PARTS)) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const outcome = verifyRecorded({ quote: quoteString({ ...RECORDED_PARTS, [name]: flipBit(bytes, bit) }) })
        if (!/^KEYLIME_(?:BAD_MESSAGE|QUOTE_REJECTED): /.test(outcome)) accepted.push(`${name} bit ${bit}: ${outcome}`)
      }
    }
    expect(accepted).toEqual([])
  })

  it('refuses every change of one bit in the text, and every cut', () => {
    const text = Buffer.from(RECORDED_QUOTE, 'latin1')
    const variants = Array.from({ length: text.length * 8 }, (_none, bit) => flipBit(text, bit).toString('latin1'))
    variants.push(...Array.from({ length: text.length }, (_none, length) => RECORDED_QUOTE.slice(0, length)))
    const accepted = variants.filter(
      (quote) => !/^KEYLIME_(?:BAD_MESSAGE|QUOTE_REJECTED): /.test(verifyRecorded({ quote })),
    )
    expect(accepted).toEqual([])
  })

  it.each([
    ['rsa-2048', 'sha256'],
    ['rsa-3072', 'sha384'],
    ['rsa-4096', 'sha512'],
    ['ec-p256', 'sha256'],
    ['ec-p384', 'sha384'],
  ] as const)('proves a quote of an AK of %s with %s, and not one of its sibling [T14]', (ak, hash) => {
    const { tpm, record } = node({ ak, hash, ek: 'ec-p256' })
    expect(outcomeOf(() => verifyQuote(evidenceOf(tpm, tpm.quote(NONCE)), record, policy))).toBe('accepted')
    const { tpm: other } = node({ ak, hash, ek: 'ec-p256' })
    expect(outcomeOf(() => verifyQuote(evidenceOf(tpm, tpm.quote(NONCE, { signer: other })), record, policy))).toBe(
      'KEYLIME_QUOTE_REJECTED: identity quote rejected: signature is not by the registered AK',
    )
  })

  it.each([
    ['further PCRs', { pcrs: [0, 16] }, 'quoted pcr selection is sha256:0,16, expected sha256:16'],
    ['another PCR', { pcrs: [15] }, 'quoted pcr selection is sha256:15, expected sha256:16'],
    ['another bank', { bank: 'sha1' }, 'quoted pcr selection is sha1:16, expected sha256:16'],
    ['values of another PCR', { blobPcrs: [15] }, 'pcr values selection is sha256:15, expected sha256:16'],
    ['values that were not quoted', { pcrDigest: Buffer.alloc(32) }, 'pcr values differ from the quoted digest'],
    [
      'PCR 16 without the agent key',
      { pcrValues: new Map([[16, Buffer.alloc(32)]]) },
      'pcr 16 does not hold the public key of the keylime agent',
    ],
    [
      'another signer name',
      { qualifiedSigner: Buffer.alloc(34) },
      'signer is not the registered AK under the registered EK',
    ],
    ['another signature hash', { signatureHash: 'sha1' }, 'signature hash is sha1, expected sha256'],
    [
      'bytes changed after signing',
      { afterSigning: (attest: Buffer) => flipBit(attest, 8 * 80) },
      'signature is not by the registered AK',
    ],
  ] as const)('refuses a quote with %s', (_title, knobs, reason) => {
    const { tpm, record } = node({ slot: 1 })
    expect(outcomeOf(() => verifyQuote(evidenceOf(tpm, tpm.quote(NONCE, knobs)), record, policy))).toBe(
      `KEYLIME_QUOTE_REJECTED: identity quote rejected: ${reason}`,
    )
  })

  it('refuses an AK registered under another EK than the one it lives under [T14]', () => {
    const { tpm, record } = node({ slot: 1 })
    const stolen = { ...record, ekTpm: node({ slot: 2 }).tpm.ekTpm }
    expect(outcomeOf(() => verifyQuote(evidenceOf(tpm, tpm.quote(NONCE)), stolen, policy))).toBe(
      'KEYLIME_QUOTE_REJECTED: identity quote rejected: signer is not the registered AK under the registered EK',
    )
  })

  it('refuses a quote signed with another hash than the AK is made for', () => {
    const { tpm, record } = node({ slot: 1 })
    const area = { nameAlg: 'sha256', attributes: AK_ATTRIBUTES, template: 'ak', schemeHash: 'sha384' } as const
    const other = { ...record, akTpm: encodeTpm2bPublic(tpm.ak.publicKey, area) }
    expect(outcomeOf(() => verifyQuote(evidenceOf(tpm, tpm.quote(NONCE)), other, policy))).toBe(
      "KEYLIME_QUOTE_REJECTED: identity quote rejected: signature hash is sha256, expected the AK's sha384",
    )
  })

  it('refuses a quote whose hash the policy no longer allows', () => {
    const { tpm, record } = node({ slot: 1 })
    const strict = { allowedHashAlgs: ['sha384', 'sha512'] as const }
    expect(outcomeOf(() => verifyQuote(evidenceOf(tpm, tpm.quote(NONCE)), record, strict))).toBe(
      'KEYLIME_QUOTE_REJECTED: identity quote rejected: hash algorithm sha256 is not allowed, expected one of sha384, sha512',
    )
  })

  it('names nothing secret in a refusal', () => {
    const { tpm, record } = node({ slot: 1 })
    const quote = tpm.quote('B'.repeat(32))
    const outcome = outcomeOf(() => verifyQuote(evidenceOf(tpm, quote), record, policy))
    expect(outcome).not.toContain(NONCE)
    expect(outcome).not.toContain('B'.repeat(32))
  })
})
