import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { makeCredential, type Randomness } from '../../../plugins/tpm/make-credential.ts'
import { parseTpm2bPublic, type TpmPublic } from '../../../plugins/tpm/public.ts'
import { type OpeningKey, openCredential } from '../../fakes/credential-opening.ts'
import { pooledTestKey } from '../../fakes/pki-keys.ts'
import { EK_ATTRIBUTES, encodeTpm2bPublic } from '../../fakes/tpm-bytes.ts'
import { outcomeOf } from './outcome.ts'

type JsonWebKey = Readonly<Record<string, string>>

interface Vector {
  readonly ek: JsonWebKey
  readonly ephemeral: JsonWebKey
  readonly seed: string
  readonly sealed: { readonly credential: string; readonly secret: string }
  readonly byTpm2Tools: { readonly credential: string; readonly secret: string }
}
// Written by a program of its own in another language; `byTpm2Tools` by tpm2_makecredential 5.4.
const vectors = JSON.parse(
  readFileSync(new URL('../../fixtures/tpm/make-credential.json', import.meta.url), 'utf8'),
) as { name: string; credential: string; rsa: Vector; ecc: Vector; ecc384: Vector }
const name = Buffer.from(vectors.name, 'hex')
const secret = Buffer.from(vectors.credential)

function privateOf(jwk: JsonWebKey) {
  return createPrivateKey({ key: jwk, format: 'jwk' })
}

function ekOf(jwk: JsonWebKey, nameAlg: 'sha256' | 'sha384' = 'sha256'): { key: TpmPublic; opening: OpeningKey } {
  const privateKey = privateOf(jwk)
  const area = encodeTpm2bPublic(createPublicKey(privateKey), {
    nameAlg,
    attributes: EK_ATTRIBUTES,
    template: 'ek',
    schemeHash: nameAlg,
  })
  const aesBits = nameAlg === 'sha384' ? 256 : 128
  // keyBits of the EK's cipher: behind type, nameAlg, attributes, policy and cipher.
  if (aesBits === 256) area.writeUInt16BE(256, 2 + 2 + 2 + 4 + 34 + 2)
  return { key: parseTpm2bPublic(area), opening: { privateKey, nameAlg, aesBits } }
}

function fixed(vector: Vector): Randomness {
  return {
    seed: () => Buffer.from(vector.seed, 'hex'),
    ephemeral: () => ({
      privateKey: privateOf(vector.ephemeral),
      publicKey: createPublicKey(privateOf(vector.ephemeral)),
    }),
  }
}

describe('makeCredential', () => {
  it.each([
    ['P-256', vectors.ecc, 'sha256'],
    ['P-384', vectors.ecc384, 'sha384'],
  ] as const)('seals for a %s key byte for byte as another implementation does', (_title, vector, nameAlg) => {
    const sealed = makeCredential(ekOf(vector.ek, nameAlg).key, name, secret, fixed(vector))
    expect(sealed.credential.toString('hex')).toBe(vector.sealed.credential)
    expect(sealed.secret.toString('hex')).toBe(vector.sealed.secret)
  })

  it('seals for an RSA key with the credential of another implementation, and the seed within the secret', () => {
    const { key, opening } = ekOf(vectors.rsa.ek)
    const sealed = makeCredential(key, name, secret, fixed(vectors.rsa))
    expect(sealed.credential.toString('hex')).toBe(vectors.rsa.sealed.credential)
    expect(openCredential(opening, name, sealed)).toEqual(secret)
  })

  it.each([
    ['RSA', vectors.rsa],
    ['P-256', vectors.ecc],
  ] as const)('is opened for %s by the reader that opens what tpm2-tools sealed', (_title, vector) => {
    const { key, opening } = ekOf(vector.ek)
    const theirs = {
      credential: Buffer.from(vector.byTpm2Tools.credential, 'hex'),
      secret: Buffer.from(vector.byTpm2Tools.secret, 'hex'),
    }
    expect(openCredential(opening, name, theirs)).toEqual(secret)
    for (let round = 0; round < 20; round++) {
      const fresh = randomBytes(32)
      expect(openCredential(opening, name, makeCredential(key, name, fresh))).toEqual(fresh)
    }
  })

  it('seals for one name and one key alone', () => {
    const { key, opening } = ekOf(vectors.ecc.ek)
    const sealed = makeCredential(key, name, secret)
    const otherName = Buffer.from(name)
    otherName[10] = (otherName[10] ?? 0) ^ 1
    expect(() => openCredential(opening, otherName, sealed)).toThrow('TPM_RC_INTEGRITY')
    const otherKey = { ...opening, privateKey: pooledTestKey('ec-p256', 1).privateKey }
    expect(() => openCredential(otherKey, name, sealed)).toThrow('TPM_RC_INTEGRITY')
  })

  it('seals anew each time', () => {
    const { key } = ekOf(vectors.rsa.ek)
    const all = Array.from({ length: 5 }, () => makeCredential(key, name, secret).credential.toString('hex'))
    expect(new Set(all).size).toBe(5)
  })

  it('refuses a secret that the TPM could not give back', () => {
    const { key } = ekOf(vectors.ecc.ek)
    expect(outcomeOf(() => makeCredential(key, name, Buffer.alloc(33)))).toBe(
      'TPM_MALFORMED: credential: expected at most 32 bytes, found 33',
    )
  })

  it.each([
    ['without a cipher', undefined],
    ['with SM4', { algorithm: 0x13, bits: 128, mode: 0x43 }],
    ['with AES in another mode', { algorithm: 6, bits: 128, mode: 0x40 }],
    ['with AES of 192 bits', { algorithm: 6, bits: 192, mode: 0x43 }],
  ])('refuses an endorsement key %s', (_title, symmetric) => {
    const { key } = ekOf(vectors.ecc.ek)
    expect(outcomeOf(() => makeCredential({ ...key, symmetric }, name, secret))).toBe(
      'TPM_UNSUPPORTED: endorsement key: expected AES of 128 or 256 bits in CFB mode, found another',
    )
  })
})
