import { sign } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { parseTpm2bPublic } from '../../../plugins/tpm/public.ts'
import { parseSignature, verifySignature } from '../../../plugins/tpm/signature.ts'
import { type KeyKind, pooledTestKey, type TestKey } from '../../fakes/pki-keys.ts'
import { AK_ATTRIBUTES, encodeSignature, encodeTpm2bPublic } from '../../fakes/tpm-bytes.ts'
import { outcomeOf, outcomesOfLengths } from './outcome.ts'
import { RECORDED_PARTS, RECORDED_RECORD } from './recorded-node.ts'

// Large RSA keys are made here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const { attest, signature } = RECORDED_PARTS

// Elliptic curve keys are not pooled: one asked for twice is two keys.
const keys = new Map<string, TestKey>()

function keyOf(kind: KeyKind, index = 0): TestKey {
  const key = keys.get(`${kind} ${index}`) ?? pooledTestKey(kind, index)
  keys.set(`${kind} ${index}`, key)
  return key
}

function publicOf(kind: KeyKind, index = 0) {
  const area = { nameAlg: 'sha256', attributes: AK_ATTRIBUTES, template: 'ak', schemeHash: 'sha256' } as const
  return parseTpm2bPublic(encodeTpm2bPublic(keyOf(kind, index).publicKey, area))
}

function withU16(offset: number, value: number): Buffer {
  const copy = Buffer.from(signature)
  copy.writeUInt16BE(value, offset)
  return copy
}

describe('parseSignature', () => {
  it('reads the recorded RSASSA signature', () => {
    expect(parseSignature(signature)).toMatchObject({ scheme: 'rsassa', hashAlg: 'sha256' })
  })

  it.each([
    ['RSAPSS', 0x0016],
    ['ECDAA', 0x001a],
    ['ECSchnorr', 0x001c],
    ['HMAC', 0x0005],
    ['no signature', 0x0010],
  ])('refuses %s by name of the field', (_title, scheme) => {
    expect(outcomeOf(() => parseSignature(withU16(0, scheme)))).toMatch(
      /^TPM_UNSUPPORTED: TPMT_SIGNATURE sigAlg: expected RSASSA or ECDSA, found 0x00/,
    )
  })

  it('refuses an unknown hash and an oversized number', () => {
    expect(outcomeOf(() => parseSignature(withU16(2, 0x27)))).toBe(
      'TPM_UNSUPPORTED: TPMT_SIGNATURE hash: expected a hash algorithm, found 0x0027',
    )
    expect(outcomeOf(() => parseSignature(withU16(4, 513)))).toBe(
      'TPM_MALFORMED: TPMT_SIGNATURE signature: expected at most 512 bytes, found 513',
    )
  })

  it('refuses every cut and every added byte with a typed error', () => {
    const ec = encodeSignature(false, 'sha256', Buffer.alloc(64, 1))
    for (const bytes of [signature, ec]) {
      expect(outcomesOfLengths(bytes, parseSignature)).toEqual(['TPM_TRAILING', 'TPM_TRUNCATED'])
    }
  })

  it('never throws anything but a typed error, whatever the bytes', () => {
    const head = fc.constantFrom([0, 0x14, 0, 0x0b], [0, 0x18, 0, 0x0c], [0, 0x18])
    const bytes = fc
      .tuple(head, fc.uint8Array({ maxLength: 200 }))
      .map(([start, rest]) => Buffer.from([...start, ...rest]))
    fc.assert(
      fc.property(fc.oneof(bytes, fc.uint8Array({ maxLength: 200 })), (given) => {
        expect(outcomeOf(() => parseSignature(given))).toMatch(/^(?:accepted$|TPM_)/)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('verifySignature', () => {
  const message = Buffer.from('attested')

  it('accepts the recorded quote under the recorded AK and no other message', () => {
    const ak = parseTpm2bPublic(RECORDED_RECORD.akTpm)
    expect(verifySignature(ak, parseSignature(signature), attest)).toBe(true)
    expect(verifySignature(ak, parseSignature(signature), attest.subarray(1))).toBe(false)
  })

  it.each(['rsa-2048', 'rsa-3072', 'rsa-4096', 'ec-p256', 'ec-p384', 'ec-p521'] as const)(
    'accepts a signature of %s, with every hash, and refuses it under another key',
    (kind) => {
      for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
        const { privateKey } = keyOf(kind, 0)
        const raw = sign(hash, message, { key: privateKey, dsaEncoding: 'ieee-p1363' })
        const parsed = parseSignature(encodeSignature(kind.startsWith('rsa'), hash, raw))
        expect(verifySignature(publicOf(kind), parsed, message)).toBe(true)
        expect(verifySignature(publicOf(kind, 1), parsed, message)).toBe(false)
        expect(verifySignature(publicOf(kind.startsWith('rsa') ? 'ec-p256' : 'rsa-2048', 1), parsed, message)).toBe(
          false,
        )
      }
    },
  )

  it('accepts an ECDSA signature whose numbers lack their leading zeros', () => {
    const { privateKey } = keyOf('ec-p256', 0)
    let raw = Buffer.alloc(0)
    do raw = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    while (raw[0] !== 0)
    const short = { scheme: 'ecdsa', hashAlg: 'sha256', r: raw.subarray(1, 32), s: raw.subarray(32) } as const
    expect(verifySignature(publicOf('ec-p256'), short, message)).toBe(true)
  })

  it('refuses zero, empty and oversized ECDSA numbers', () => {
    for (const [r, s] of [
      [Buffer.alloc(32), Buffer.alloc(32)],
      [Buffer.alloc(0), Buffer.alloc(0)],
      [Buffer.alloc(33, 1), Buffer.alloc(32, 1)],
      [Buffer.alloc(32, 0xff), Buffer.alloc(32, 0xff)],
    ] as const) {
      expect(verifySignature(publicOf('ec-p256'), { scheme: 'ecdsa', hashAlg: 'sha256', r, s }, message)).toBe(false)
    }
  })
})
