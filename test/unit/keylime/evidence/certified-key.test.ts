import { generateKeyPairSync } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { objectIdentifier, sequence, unsignedInteger } from '../../../../plugins/go-plugin/tls/der.ts'
import { certifiedKey } from '../../../../plugins/keylime/evidence/certified-key.ts'
import { parseTpm2bPublic, type TpmPublic } from '../../../../plugins/tpm/public.ts'
import { issueEkCertificate, newEkCa } from '../../../fakes/ek-certificate.ts'
import { EXPLICIT_CURVES } from '../../../fakes/explicit-curves.ts'
import { newTestPki, type TestCa, type TestPki } from '../../../fakes/pki.ts'
import { reissued, subjectKey } from '../../../fakes/reissued.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const EC = '1.2.840.10045.2.1'
const NULL = Buffer.from('0500', 'hex')
const NAMED = { 'ec-p256': '1.2.840.10045.3.1.7', 'ec-p384': '1.3.132.0.34', 'ec-p521': '1.3.132.0.35' } as const
const CURVES = ['ec-p256', 'ec-p384', 'ec-p521'] as const
const RSA_KINDS = {
  rsaEncryption: '1.2.840.113549.1.1.1',
  'RSAES-OAEP': '1.2.840.113549.1.1.7',
  'RSASSA-PSS': '1.2.840.113549.1.1.10',
}

let pki: TestPki
let maker: TestCa
beforeAll(async () => {
  pki = newTestPki()
  maker = (await newEkCa(pki)).issuer
})
afterAll(() => pki.remove())

const ekOf = (tpm: SoftwareTpm): TpmPublic => parseTpm2bPublic(tpm.ekTpm)
const certify = async (tpm: SoftwareTpm): Promise<Buffer> =>
  Buffer.from((await issueEkCertificate(maker, tpm)).x509.raw)

function coordinates(tpm: SoftwareTpm): readonly [Buffer, Buffer] {
  const { x = '', y = '' } = tpm.ek.publicKey.export({ format: 'jwk' })
  return [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]
}

/** The forms in which SEC 1 writes a point. */
function pointForms(tpm: SoftwareTpm): readonly Buffer[] {
  const [x, y] = coordinates(tpm)
  const sign = (y.at(-1) ?? 0) & 1
  return [
    Buffer.concat([Buffer.from([4]), x, y]),
    Buffer.concat([Buffer.from([2 + sign]), x]),
    Buffer.concat([Buffer.from([6 + sign]), x, y]),
  ]
}

const isWithin = (at: number, from: number, bytes: number): boolean => at >= from && at < from + bytes

function rsaKey(tpm: SoftwareTpm): Buffer {
  const { n = '', e = '' } = tpm.ek.publicKey.export({ format: 'jwk' })
  return sequence(unsignedInteger(Buffer.from(n, 'base64url')), unsignedInteger(Buffer.from(e, 'base64url')))
}

describe.each(CURVES)('the EK certificate of a TPM with a key on %s', (curve) => {
  const own = new SoftwareTpm({ ek: curve })
  const other = new SoftwareTpm({ ek: curve })

  it('is for that key with a compressed point and with explicit parameters [claims:ek:key-forms]', async () => {
    const der = await certify(own)
    expect(certifiedKey(der, ekOf(own))).toBe('same')
    for (const parameters of [objectIdentifier(NAMED[curve]), Buffer.from(EXPLICIT_CURVES[curve], 'hex')]) {
      for (const point of pointForms(own)) {
        const form = reissued(der, maker, { key: subjectKey(EC, parameters, point) })
        expect(certifiedKey(form, ekOf(own))).toBe('same')
        expect(certifiedKey(form, ekOf(other))).toBe('other')
      }
    }
  })

  it('is for another key with the point of the other sign, and on any other curve', async () => {
    const der = await certify(own)
    const [x, y] = coordinates(own)
    const mirrored = Buffer.concat([Buffer.from([3 - ((y.at(-1) ?? 0) & 1)]), x])
    const named = objectIdentifier(NAMED[curve])
    expect(certifiedKey(reissued(der, maker, { key: subjectKey(EC, named, mirrored) }), ekOf(own))).toBe('other')
    const brainpool = objectIdentifier('1.3.36.3.3.2.8.1.1.7')
    const [point = Buffer.alloc(0)] = pointForms(own)
    expect(certifiedKey(reissued(der, maker, { key: subjectKey(EC, brainpool, point) }), ekOf(own))).toBe('other')
  })

  it('is for another key when a single bit of the explicit parameters differs', async () => {
    const der = await certify(own)
    const right = Buffer.from(EXPLICIT_CURVES[curve], 'hex')
    const [point = Buffer.alloc(0)] = pointForms(own)
    // Version and seed are of no consequence, the cofactor follows from the order, the base point may have another form.
    const seed = right.indexOf(Buffer.from('031500', 'hex'))
    const form = [...right.keys()].findLast((at) => /^04(?:6b17d1|aa87ca|00c685)/.test(right.toString('hex', at)))
    const version = right.indexOf(Buffer.from('020101', 'hex'))
    const counts = (at: number): boolean =>
      at < right.length - 3 && !isWithin(at, seed, 23) && !isWithin(at, version, 3) && at !== form
    const bits = fc.integer({ min: 0, max: right.length * 8 - 1 }).filter((bit) => counts(bit >> 3))
    fc.assert(
      fc.property(bits, (bit) => {
        const wrong = Buffer.from(right)
        wrong.writeUInt8(wrong.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        const changed = reissued(der, maker, { key: subjectKey(EC, wrong, point) })
        expect(certifiedKey(changed, ekOf(own))).not.toBe('same')
      }),
      { numRuns: 300 },
    )
  })
})

describe('the EK certificate of a TPM with an RSA key', () => {
  const own = new SoftwareTpm({ slot: 1 })
  const other = new SoftwareTpm({ slot: 2 })

  it.each(Object.entries(RSA_KINDS))('is for that key as %s [claims:ek:key-forms]', async (_, oid) => {
    const der = await certify(own)
    const form = reissued(der, maker, { key: subjectKey(oid, NULL, rsaKey(own)) })
    expect(certifiedKey(form, ekOf(own))).toBe('same')
    expect(certifiedKey(form, ekOf(other))).toBe('other')
    expect(certifiedKey(form, ekOf(new SoftwareTpm({ ek: 'ec-p256' })))).toBe('other')
  })

  it('is for another key with another exponent', async () => {
    const { n = '' } = own.ek.publicKey.export({ format: 'jwk' })
    const key = sequence(unsignedInteger(Buffer.from(n, 'base64url')), unsignedInteger(Buffer.from([3])))
    const form = reissued(await certify(own), maker, { key: subjectKey(RSA_KINDS['RSAES-OAEP'], NULL, key) })
    expect(certifiedKey(form, ekOf(own))).toBe('other')
  })

  it('is read to its end and no further: makers pad it', async () => {
    expect(certifiedKey(Buffer.concat([await certify(own), Buffer.alloc(64, 0xff)]), ekOf(own))).toBe('same')
  })
})

describe('a certificate of any bytes', () => {
  const own = new SoftwareTpm({ ek: 'ec-p256' })

  it('ends in an answer, and is not taken for another when it is cut or does not parse', async () => {
    const der = await certify(own)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.nat(der.length - 1).map((end) => der.subarray(0, end)),
        ),
        (bytes) => {
          expect(certifiedKey(bytes, ekOf(own))).toBe('unreadable')
        },
      ),
    )
  })

  it('is never taken for that key with a bit of the key changed', async () => {
    const der = await certify(own)
    const [point = Buffer.alloc(0)] = pointForms(own)
    const at = der.indexOf(point)
    fc.assert(
      fc.property(fc.integer({ min: (at + 1) * 8, max: (at + point.length) * 8 - 1 }), (bit) => {
        const wrong = Buffer.from(der)
        wrong.writeUInt8(wrong.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        expect(certifiedKey(wrong, ekOf(own))).toBe('other')
      }),
    )
  })

  it('is for another key when it is of a kind that no TPM has', async () => {
    const { publicKey } = generateKeyPairSync('ed25519')
    const key = publicKey.export({ type: 'spki', format: 'der' })
    expect(certifiedKey(reissued(await certify(own), maker, { key }), ekOf(own))).toBe('other')
  })
})
