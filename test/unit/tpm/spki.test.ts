import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eccSpki, pemOf, rsaSpki } from '../../../plugins/tpm/spki.ts'

const bytesOf = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url')
const derOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })
const pemFrom = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' })

describe('SubjectPublicKeyInfo', () => {
  it.each([
    [2048, 65_537],
    [2048, 3],
    [3072, 65_537],
    [4096, 0x8000_0001],
  ])('is what OpenSSL writes of an RSA key of %i bits with exponent %i', (modulusLength, publicExponent) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
    const { n, e } = publicKey.export({ format: 'jwk' })
    const spki = rsaSpki(bytesOf(n), bytesOf(e))
    expect(spki).toEqual(derOf(publicKey))
    expect(pemOf(spki)).toBe(pemFrom(publicKey))
  })

  it.each(['P-256', 'P-384', 'P-521'] as const)(
    'is what OpenSSL writes of points on %s [scale:keys:as-openssl-writes-them]',
    (curve) => {
      for (let turn = 0; turn < 20; turn += 1) {
        const { publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
        const { x, y } = publicKey.export({ format: 'jwk' })
        const spki = eccSpki(curve, bytesOf(x), bytesOf(y))
        expect(spki).toEqual(derOf(publicKey))
        expect(pemOf(spki)).toBe(pemFrom(publicKey))
      }
    },
  )

  it('as PEM holds every byte, in lines of at most 64 characters', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        const lines = pemOf(Buffer.from(bytes)).split('\n')
        expect(lines.every((line) => line.length <= 64)).toBe(true)
        expect(Buffer.from(lines.slice(1, -2).join(''), 'base64')).toEqual(Buffer.from(bytes))
      }),
    )
  })
})
