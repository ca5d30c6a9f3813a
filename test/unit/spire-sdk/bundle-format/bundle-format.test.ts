import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatBundle, jwtAuthoritiesAsPem } from '../../../../plugins/spire-sdk/index.ts'
import { testBundle } from '../../../../plugins/spire-sdk/testing/index.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/bundle-format')
const read = (name: string): string => readFileSync(join(FIXTURES, name), 'utf8')

interface GoBundle {
  readonly x509_authorities: readonly { asn1: string; tainted?: boolean }[]
  readonly jwt_authorities: readonly { public_key: string; key_id: string }[]
  readonly refresh_hint: number
  readonly sequence_number: number
}

/** The bundle that the Go SDK was given: two X.509 authorities, one of them tainted, and two JWT keys, EC and RSA. */
function bundleOfGo() {
  const go = JSON.parse(read('bundle.json')) as GoBundle
  return testBundle({
    x509Authorities: go.x509_authorities.map(({ asn1, tainted = false }) => ({
      asn1: Buffer.from(asn1, 'base64'),
      tainted,
    })),
    jwtAuthorities: go.jwt_authorities.map(({ public_key: key, key_id: keyId }) => ({
      publicKey: Buffer.from(key, 'base64'),
      keyId,
      expiresAt: 0n,
      tainted: false,
    })),
    refreshHint: BigInt(go.refresh_hint),
    sequenceNumber: BigInt(go.sequence_number),
  })
}

/** Go's maps have no order, so neither have the JWT keys of its documents. */
function byId(document: string): unknown {
  const { keys, ...rest } = JSON.parse(document) as { keys: { kid?: string }[] }
  return { ...rest, keys: keys.toSorted((a, b) => (a.kid ?? '').localeCompare(b.kid ?? '')) }
}

describe('formatBundle', () => {
  it('writes the PEM that the Go SDK writes, byte for byte [sdk:bundle-format:as-go]', () => {
    expect(formatBundle(bundleOfGo(), 'pem')).toBe(read('bundle.pem'))
  })

  it.each(['jwks', 'spiffe'] as const)(
    'writes the %s document that the Go SDK writes [sdk:bundle-format:as-go]',
    (format) => {
      expect(byId(formatBundle(bundleOfGo(), format))).toEqual(byId(read(`bundle.${format}`)))
    },
  )

  it('leaves out a hint and a number that are not set', () => {
    expect(formatBundle(testBundle(), 'spiffe')).toBe('{"keys":[]}')
    expect(formatBundle(testBundle(), 'jwks')).toBe('{"keys":[]}')
    expect(formatBundle(testBundle(), 'pem')).toBe('')
  })

  it.each([
    [{ x509Authorities: [{ asn1: Buffer.from('no DER'), tainted: false }] }, 'X.509 authority 0'],
    [
      { jwtAuthorities: [{ publicKey: Buffer.alloc(3), keyId: 'k', expiresAt: 0n, tainted: false }] },
      'JWT authority 0',
    ],
  ])('says which authority cannot be parsed', (fields, what) => {
    expect(() => formatBundle(testBundle(fields), 'jwks')).toThrow(
      expect.objectContaining({
        status: 'INVALID_ARGUMENT',
        message: `${what} of the bundle cannot be parsed`,
      }) as Error,
    )
  })
})

describe('jwtAuthoritiesAsPem', () => {
  it('gives one public key an id', () => {
    const keys = jwtAuthoritiesAsPem(bundleOfGo())
    expect([...keys.keys()]).toEqual(['key-1', 'key-2'])
    for (const pem of keys.values())
      expect(pem).toMatch(/^-----BEGIN PUBLIC KEY-----\n[^-]+-----END PUBLIC KEY-----\n$/)
  })
})
