import { createHash, generateKeyPairSync } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { nameOf, qualifiedName } from '../../../plugins/tpm/name.ts'
import { parseTpm2bPublic } from '../../../plugins/tpm/public.ts'
import { pooledTestKey } from '../../fakes/pki-keys.ts'
import { AK_ATTRIBUTES, EK_ATTRIBUTES, encodeTpm2bPublic, nameOfPublic } from '../../fakes/tpm-bytes.ts'
import { outcomeOf, outcomesOfLengths } from './outcome.ts'
import { RECORDED_PARTS, RECORDED_RECORD } from './recorded-node.ts'

// Large RSA keys are made here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const { akTpm, ekTpm } = RECORDED_RECORD

/** Rewrites the TPMT_PUBLIC inside and sets the length again. */
function rewrite(tpm2b: Buffer, change: (area: Buffer) => Buffer): Buffer {
  const area = change(Buffer.from(tpm2b.subarray(2)))
  const length = Buffer.alloc(2)
  length.writeUInt16BE(area.length)
  return Buffer.concat([length, area])
}

describe('parseTpm2bPublic', () => {
  it('reads the recorded attestation key: RSA 2048, RSASSA with SHA-256, restricted signing', () => {
    const ak = parseTpm2bPublic(akTpm)
    expect(ak).toMatchObject({
      type: 'rsa',
      bits: 2048,
      nameAlg: 'sha256',
      attributes: AK_ATTRIBUTES,
      scheme: { name: 'rsassa', hashAlg: 'sha256' },
      symmetric: undefined,
    })
  })

  it('reads the recorded endorsement key, whose PEM hash is the recorded agent ID', () => {
    const ek = parseTpm2bPublic(ekTpm)
    expect(ek).toMatchObject({
      type: 'rsa',
      attributes: EK_ATTRIBUTES,
      scheme: { name: 'null' },
      symmetric: { algorithm: 6, bits: 128, mode: 0x43 },
    })
    expect(createHash('sha256').update(ek.pem).digest('hex')).toBe(RECORDED_RECORD.agentId)
  })

  it.each(['rsa-2048', 'rsa-3072', 'rsa-4096', 'ec-p256', 'ec-p384', 'ec-p521'] as const)(
    'reads a key of %s',
    (kind) => {
      const key = pooledTestKey(kind, 0)
      for (const template of ['ak', 'ek'] as const) {
        const attributes = template === 'ak' ? AK_ATTRIBUTES : EK_ATTRIBUTES
        const bytes = encodeTpm2bPublic(key.publicKey, {
          nameAlg: 'sha384',
          attributes,
          template,
          schemeHash: 'sha384',
        })
        const parsed = parseTpm2bPublic(bytes)
        expect(parsed.pem).toBe(key.publicKey.export({ type: 'spki', format: 'pem' }))
        expect(parsed.nameAlg).toBe('sha384')
        expect(nameOf(parsed)).toEqual(nameOfPublic(bytes, 'sha384'))
      }
    },
  )

  it('fills in leading zeros that a TPM dropped from a coordinate', () => {
    const { publicKey } = generateUntil((x) => x[0] === 0)
    const area = { nameAlg: 'sha256', attributes: AK_ATTRIBUTES, template: 'ak', schemeHash: 'sha256' } as const
    const full = encodeTpm2bPublic(publicKey, area)
    // x is a TPM2B before y's 34 bytes.
    const at = full.length - 2 - 34 - 34
    const short = rewrite(full, (inner) => {
      const x = inner.subarray(at + 3, at + 34)
      return Buffer.concat([inner.subarray(0, at), Buffer.from([0, 31]), x, inner.subarray(at + 34)])
    })
    expect(parseTpm2bPublic(short).pem).toBe(publicKey.export({ type: 'spki', format: 'pem' }))
  })

  it.each([0, 33])('refuses a coordinate of %i bytes on P-256', (length) => {
    const area = { nameAlg: 'sha256', attributes: AK_ATTRIBUTES, template: 'ak', schemeHash: 'sha256' } as const
    const full = encodeTpm2bPublic(pooledTestKey('ec-p256', 0).publicKey, area)
    const changed = rewrite(full, (inner) => {
      const at = inner.length - 34 - 34
      return Buffer.concat([
        inner.subarray(0, at),
        Buffer.from([0, length]),
        Buffer.alloc(length),
        inner.subarray(at + 34),
      ])
    })
    expect(outcomeOf(() => parseTpm2bPublic(changed))).toBe(
      `TPM_MALFORMED: TPMT_PUBLIC x: expected 1 to 32 bytes, found ${length}`,
    )
  })

  it.each([
    ['a keyed hash', 0x0008, 'TPM_UNSUPPORTED', /type: expected an RSA or ECC key, found 0x0008/],
    ['an unknown type', 0x4242, 'TPM_UNSUPPORTED', /type: expected an RSA or ECC key, found 0x4242/],
  ])('refuses %s', (_title, type, code, message) => {
    const outcome = outcomeOf(() => parseTpm2bPublic(withU16(akTpm, 0, type)))
    expect(outcome).toMatch(message)
    expect(outcome.split(':')[0]).toBe(code)
  })

  it.each([
    ['an unknown name algorithm', 2, 0x0010, 'TPM_UNSUPPORTED', /nameAlg/],
    ['a policy longer than any digest', 8, 65, 'TPM_MALFORMED', /authPolicy: expected at most 64 bytes, found 65/],
    ['a stream cipher', 10, 0x000a, 'TPM_UNSUPPORTED', /symmetric: expected a block cipher or none, found 0x000a/],
    ['an ECC scheme on an RSA key', 12, 0x0018, 'TPM_UNSUPPORTED', /scheme/],
    ['an unknown scheme hash', 14, 0x0001, 'TPM_UNSUPPORTED', /scheme hash/],
    ['1024 bits', 16, 1024, 'TPM_UNSUPPORTED', /keyBits: expected 2048, 3072 or 4096, found 1024/],
    ['an even exponent', 20, 4, 'TPM_MALFORMED', /exponent: expected an odd number above 2, found 4/],
    ['an exponent of one', 20, 1, 'TPM_MALFORMED', /exponent/],
    ['a modulus of another length', 16, 3072, 'TPM_MALFORMED', /modulus: expected an odd number of 3072 bits/],
    ['a modulus without its top bit', 24, 0x0001, 'TPM_MALFORMED', /modulus: expected an odd number of 2048 bits/],
  ])('refuses an RSA key with %s', (_title, offset, value, code, message) => {
    const outcome = outcomeOf(() => parseTpm2bPublic(withU16(akTpm, offset, value)))
    expect(outcome).toMatch(message)
    expect(outcome.split(':')[0]).toBe(code)
  })

  it.each([
    ['an unknown curve', 16, 0x0010, 'TPM_UNSUPPORTED', /curveID: expected P-256, P-384 or P-521, found 0x0010/],
    ['an unknown key derivation', 18, 0x0001, 'TPM_UNSUPPORTED', /kdf/],
    ['a point that is not on the curve', 22, 0xffff, 'TPM_MALFORMED', /unique: expected a public key/],
    ['a coordinate that is too long', 16, 0x0004, 'TPM_MALFORMED', /unique: expected a public key/],
  ])('refuses an elliptic curve key with %s', (_title, offset, value, code, message) => {
    const area = { nameAlg: 'sha256', attributes: AK_ATTRIBUTES, template: 'ak', schemeHash: 'sha256' } as const
    const key = encodeTpm2bPublic(pooledTestKey('ec-p256', 0).publicKey, area)
    const outcome = outcomeOf(() => parseTpm2bPublic(withU16(key, offset, value)))
    expect(outcome).toMatch(message)
    expect(outcome.split(':')[0]).toBe(code)
  })

  it('reads keys that carry every scheme, cipher and key derivation the structures allow', () => {
    const ecArea = { nameAlg: 'sha256', attributes: AK_ATTRIBUTES, template: 'ak', schemeHash: 'sha256' } as const
    const ec = encodeTpm2bPublic(pooledTestKey('ec-p256', 0).publicKey, ecArea)
    for (const scheme of [0x19, 0x1b, 0x1c, 0x1d]) {
      expect(parseTpm2bPublic(withU16(ec, 12, scheme)).scheme).toEqual({ name: 'other', hashAlg: 'sha256' })
    }
    const ecdaa = rewrite(withU16(ec, 12, 0x1a), (area) => insert(area, 16, [0, 7]))
    expect(parseTpm2bPublic(ecdaa).scheme).toEqual({ name: 'other', hashAlg: 'sha256' })
    const withKdf = rewrite(withU16(ec, 18, 0x20), (area) => insert(area, 20, [0, 0x0b]))
    expect(parseTpm2bPublic(withKdf).type).toBe('ecc')
    expect(parseTpm2bPublic(withU16(akTpm, 12, 0x16)).scheme).toEqual({ name: 'rsapss', hashAlg: 'sha256' })
    expect(parseTpm2bPublic(withU16(akTpm, 12, 0x17)).scheme).toEqual({ name: 'other', hashAlg: 'sha256' })
    for (const cipher of [0x03, 0x06, 0x13, 0x26]) {
      const wrapped = rewrite(withU16(akTpm, 10, cipher), (area) => insert(area, 12, [0, 0x80, 0, 0x43]))
      expect(parseTpm2bPublic(wrapped).symmetric).toBeDefined()
    }
  })

  it('refuses every cut and every added byte with a typed error', () => {
    for (const bytes of [akTpm, ekTpm]) {
      for (const result of outcomesOfLengths(bytes, parseTpm2bPublic)) expect(result).toMatch(/^TPM_/)
    }
    const inner = rewrite(akTpm, (area) => Buffer.concat([area, Buffer.alloc(1)]))
    expect(outcomeOf(() => parseTpm2bPublic(inner))).toMatch(/^TPM_TRAILING: TPMT_PUBLIC is followed by 1 bytes/)
    expect(outcomeOf(() => parseTpm2bPublic(Buffer.concat([akTpm, Buffer.alloc(3)])))).toMatch(
      /^TPM_TRAILING: TPM2B_PUBLIC is followed by 3 bytes/,
    )
  })

  it('never throws anything but a typed error, whatever the bytes', () => {
    const mutated = fc
      .tuple(
        fc.constantFrom(akTpm, ekTpm, RECORDED_PARTS.attest),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }),
      )
      .map(([bytes, changes]) => {
        const copy = Buffer.from(bytes)
        for (const [offset, value] of changes) if (offset < copy.length) copy[offset] = value
        return copy
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 400 })), (bytes) => {
        expect(outcomeOf(() => parseTpm2bPublic(bytes))).toMatch(/^(?:accepted$|TPM_)/)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('qualifiedName', () => {
  it('equals the signer that the recorded quote names', () => {
    const name = qualifiedName(parseTpm2bPublic(ekTpm), parseTpm2bPublic(akTpm))
    expect(RECORDED_PARTS.attest.subarray(8, 8 + 34)).toEqual(name)
  })
})

function withU16(tpm2b: Buffer, offset: number, value: number): Buffer {
  const copy = Buffer.from(tpm2b)
  copy.writeUInt16BE(value, 2 + offset)
  return copy
}

function insert(area: Buffer, offset: number, bytes: readonly number[]): Buffer {
  return Buffer.concat([area.subarray(0, offset), Buffer.from(bytes), area.subarray(offset)])
}

function generateUntil(accept: (x: Buffer) => boolean): ReturnType<typeof generateEc> {
  for (;;) {
    const pair = generateEc()
    if (accept(Buffer.from(String(pair.publicKey.export({ format: 'jwk' }).x), 'base64url'))) return pair
  }
}

function generateEc() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}
