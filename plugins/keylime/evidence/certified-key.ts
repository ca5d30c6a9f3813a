/**
 * Whether an EK certificate certifies a TPM's EK: the key in its bytes against the key in the TPM's public area.
 *
 * Keys are compared, not their encodings: makers have written points compressed, curves with all their parameters, and
 * RSA keys under OIDs that OpenSSL makes no key of.
 *
 * @see RFC 5280, 4.1; RFC 3279, 2.3; RFC 4055, 1.2; SEC 1, 2.3.3 and C.2
 * @module
 */
import type { TpmPublic } from '@tower-of-omens/tpm'
import { DER, DerError, membersOf, readDer, requireTag, withoutLeadingZeros } from './der-reader.ts'

/** What a certificate says of a key: it is this one, it is another one, or its bytes do not tell. */
export type CertifiedKey = 'same' | 'other' | 'unreadable'

/** rsaEncryption, id-RSAES-OAEP and id-RSASSA-PSS: the same modulus and exponent under three names. */
const RSA_OIDS: ReadonlySet<string> = new Set(['2a864886f70d010101', '2a864886f70d010107', '2a864886f70d01010a'])
const EC_OID = '2a8648ce3d0201'
const PRIME_FIELD_OID = '2a8648ce3d0101'

type Curve = Extract<TpmPublic, { readonly type: 'ecc' }>['curve']

interface CurveFacts {
  readonly oid: string
  readonly bytes: number
  readonly p: string
  readonly b: string
  readonly gx: string
  readonly gy: string
  readonly order: string
}

/** The curves of TPMs; a is p - 3 for all of them. @see FIPS 186-4, D.1.2 */
const CURVES: Readonly<Record<Curve, CurveFacts>> = {
  'P-256': {
    oid: '2a8648ce3d030107',
    bytes: 32,
    p: 'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff',
    b: '5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b',
    gx: '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296',
    gy: '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
    order: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  },
  'P-384': {
    oid: '2b81040022',
    bytes: 48,
    p: 'fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff',
    b: 'b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef',
    gx: 'aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7',
    gy: '3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f',
    order: 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  },
  'P-521': {
    oid: '2b81040023',
    bytes: 66,
    p: `01${'f'.repeat(130)}`,
    b: '0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00',
    gx: '00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66',
    gy: '011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650',
    order:
      '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  },
}

/**
 * Compares the key of a certificate with a TPM's EK.
 *
 * @param certificate DER of an X.509 certificate; bytes after it are left alone.
 * @param ek The EK as the TPM describes it.
 * @returns `same` only when type, size and every number of the key are equal.
 */
export function certifiedKey(certificate: Uint8Array, ek: TpmPublic): CertifiedKey {
  try {
    return isKey(subjectKeyOf(Buffer.from(certificate)), ek) ? 'same' : 'other'
  } catch (error) {
    if (error instanceof DerError) return 'unreadable'
    throw error
  }
}

interface SubjectKey {
  /** OID of the algorithm, hex. */
  readonly oid: string
  /** Tag and body of the algorithm's parameters. */
  readonly parameters: { readonly tag: number; readonly body: Buffer } | undefined
  /** The key, without the count of unused bits. */
  readonly key: Buffer
}

function subjectKeyOf(certificate: Buffer): SubjectKey {
  const [body] = membersOf(readDer(certificate, DER.sequence))
  const fields = membersOf(requireTag(body, DER.sequence))
  // version, serial number, signature, issuer, validity, subject, key; the version is left out of old certificates.
  const [algorithm, bits] = membersOf(requireTag(fields[fields[0]?.tag === DER.version ? 6 : 5], DER.sequence))
  const [oid, parameters] = membersOf(requireTag(algorithm, DER.sequence))
  const [unused, ...key] = requireTag(bits, DER.bitString)
  if (unused !== 0) throw new DerError('a key that is no number of bytes')
  return { oid: requireTag(oid, DER.oid).toString('hex'), parameters, key: Buffer.from(key) }
}

function isKey(found: SubjectKey, ek: TpmPublic): boolean {
  if (RSA_OIDS.has(found.oid)) return isRsaKey(found.key, ek)
  if (found.oid !== EC_OID || ek.type !== 'ecc') return false
  const curve = CURVES[ek.curve]
  return isCurve(found.parameters, curve) && isPoint(found.key, curve, ek.x, ek.y)
}

function isRsaKey(key: Buffer, ek: TpmPublic): boolean {
  const [modulus, exponent] = membersOf(readDer(key, DER.sequence)).map((one) => requireTag(one, DER.integer))
  if (modulus === undefined || exponent === undefined) throw new DerError('an RSA key without modulus or exponent')
  return ek.type === 'rsa' && isNumber(modulus, ek.modulus) && isNumber(exponent, ek.exponent)
}

// A curve by its name, or by all of its parameters: one of them changed is another curve.
function isCurve(parameters: SubjectKey['parameters'], curve: CurveFacts): boolean {
  if (parameters?.tag === DER.oid) return parameters.body.toString('hex') === curve.oid
  const [, field, coefficients, base, order] = membersOf(requireTag(parameters, DER.sequence))
  const [fieldKind, prime] = membersOf(requireTag(field, DER.sequence))
  const [a, b] = membersOf(requireTag(coefficients, DER.sequence))
  const p = Buffer.from(curve.p, 'hex')
  return (
    requireTag(fieldKind, DER.oid).toString('hex') === PRIME_FIELD_OID &&
    isNumber(requireTag(prime, DER.integer), p) &&
    isNumber(requireTag(a, DER.octetString), minusThree(p)) &&
    isNumber(requireTag(b, DER.octetString), Buffer.from(curve.b, 'hex')) &&
    isPoint(requireTag(base, DER.octetString), curve, Buffer.from(curve.gx, 'hex'), Buffer.from(curve.gy, 'hex')) &&
    isNumber(requireTag(order, DER.integer), Buffer.from(curve.order, 'hex'))
  )
}

// The last byte of each p is 0xff.
function minusThree(p: Buffer): Buffer {
  const a = Buffer.from(p)
  a.writeUInt8(0xfc, a.length - 1)
  return a
}

// A point in any of its forms: compressed (02, 03), whole (04), or both at once (06, 07).
function isPoint(point: Buffer, { bytes }: CurveFacts, x: Buffer, y: Buffer): boolean {
  const [left, right] = [padded(x, bytes), padded(y, bytes)]
  const parity = (right.at(-1) ?? 0) & 1
  const forms = [
    Buffer.concat([Buffer.from([0x02 + parity]), left]),
    Buffer.concat([Buffer.from([0x04]), left, right]),
    Buffer.concat([Buffer.from([0x06 + parity]), left, right]),
  ]
  return forms.some((form) => form.equals(point))
}

function padded(number: Buffer, bytes: number): Buffer {
  return Buffer.concat([Buffer.alloc(Math.max(0, bytes - number.length)), number])
}

function isNumber(found: Buffer, expected: Buffer): boolean {
  return expected.length > 0 && Buffer.compare(withoutLeadingZeros(found), withoutLeadingZeros(expected)) === 0
}
