/**
 * SubjectPublicKeyInfo of a TPM's keys, written here: OpenSSL takes longer to write one than to read the key.
 *
 * @see RFC 5280, 4.1; RFC 3279, 2.3.1; RFC 5480, 2; RFC 7468, 13
 * @module
 */

/** A curve that an SPKI is written for. */
export type SpkiCurve = 'P-256' | 'P-384' | 'P-521'

const INTEGER = 0x02
const BIT_STRING = 0x03
const SEQUENCE = 0x30
const LINE_CHARACTERS = 64

const RSA_ALGORITHM = Buffer.from('300d06092a864886f70d0101010500', 'hex')
const ECC_ALGORITHMS: Readonly<Record<SpkiCurve, Buffer>> = {
  'P-256': Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex'),
  'P-384': Buffer.from('301006072a8648ce3d020106052b81040022', 'hex'),
  'P-521': Buffer.from('301006072a8648ce3d020106052b81040023', 'hex'),
}

/**
 * Writes the SPKI of an RSA key.
 *
 * @param modulus Big-endian, without leading zeros.
 * @param exponent The same.
 * @returns DER.
 */
export function rsaSpki(modulus: Buffer, exponent: Buffer): Buffer {
  return spkiOf(RSA_ALGORITHM, der(SEQUENCE, positive(modulus), positive(exponent)))
}

/**
 * Writes the SPKI of a point on a curve, uncompressed.
 *
 * @param curve Its curve.
 * @param x As many bytes as the curve's field has.
 * @param y The same.
 * @returns DER.
 */
export function eccSpki(curve: SpkiCurve, x: Buffer, y: Buffer): Buffer {
  return spkiOf(ECC_ALGORITHMS[curve], Buffer.concat([Buffer.of(0x04), x, y]))
}

/**
 * Writes a key as PEM.
 *
 * @param spki DER.
 * @returns `PUBLIC KEY` block of lines of 64 characters, a newline at its end.
 */
export function pemOf(spki: Buffer): string {
  const text = spki.toString('base64')
  let lines = ''
  for (let at = 0; at < text.length; at += LINE_CHARACTERS) lines += `${text.slice(at, at + LINE_CHARACTERS)}\n`
  return `-----BEGIN PUBLIC KEY-----\n${lines}-----END PUBLIC KEY-----\n`
}

function spkiOf(algorithm: Buffer, key: Buffer): Buffer {
  return der(SEQUENCE, algorithm, der(BIT_STRING, Buffer.of(0), key))
}

// A first bit that is set would make the number negative.
function positive(number: Buffer): Buffer {
  return (number[0] ?? 0) < 0x80 ? der(INTEGER, number) : der(INTEGER, Buffer.of(0), number)
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.of(tag, ...lengthOf(length)), ...parts])
}

// The largest key, RSA-4096, takes two bytes to count.
function lengthOf(length: number): readonly number[] {
  if (length < 0x80) return [length]
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
}
