/**
 * The few ASN.1 types an X.509 certificate is made of, in DER.
 *
 * @see ITU-T X.690, sections 8 and 10
 * @module
 */

/** Wraps contents in a tag and a length. */
function tagged(tag: number, contents: Buffer): Buffer {
  const size = contents.length
  if (size < 0x80) return Buffer.concat([Buffer.from([tag, size]), contents])
  const hex = size.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length]), bytes, contents])
}

/**
 * Encodes a SEQUENCE.
 *
 * @param items Encoded members.
 * @returns DER.
 */
export function sequence(...items: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(items))
}

/**
 * Encodes a SET of one member; more would have to be sorted.
 *
 * @param item Encoded member.
 * @returns DER.
 */
export function setOf(item: Buffer): Buffer {
  return tagged(0x31, item)
}

/**
 * Encodes a context-specific constructed value, as `[0] EXPLICIT`.
 *
 * @param number Tag number, 0 to 30.
 * @param contents Encoded contents.
 * @returns DER.
 */
export function context(number: number, contents: Buffer): Buffer {
  return tagged(0xa0 | number, contents)
}

/**
 * Encodes a context-specific primitive value, as `[2] IMPLICIT IA5String`.
 *
 * @param number Tag number, 0 to 30.
 * @param contents Bytes of the value.
 * @returns DER.
 */
export function contextPrimitive(number: number, contents: Buffer): Buffer {
  return tagged(0x80 | number, contents)
}

/**
 * Encodes a non-negative INTEGER.
 *
 * @param magnitude Big-endian bytes; leading zeros are removed.
 * @returns DER, never negative.
 */
export function unsignedInteger(magnitude: Uint8Array): Buffer {
  const firstByte = magnitude.findIndex((byte) => byte !== 0)
  const bytes = firstByte < 0 ? Buffer.from([0]) : Buffer.from(magnitude.subarray(firstByte))
  const needsSign = (bytes[0] ?? 0) >= 0x80
  return tagged(0x02, needsSign ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
}

/**
 * Encodes TRUE. FALSE is a default everywhere here, and DER leaves defaults out.
 *
 * @returns DER.
 */
export function booleanTrue(): Buffer {
  return tagged(0x01, Buffer.from([0xff]))
}

/**
 * Encodes an OBJECT IDENTIFIER.
 *
 * @param dotted Such as `2.5.29.15`.
 * @returns DER.
 */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const bytes = [arc & 0x7f]
  for (let left = arc >>> 7; left > 0; left >>>= 7) bytes.unshift((left & 0x7f) | 0x80)
  return bytes
}

/**
 * Encodes a UTF8String.
 *
 * @param text Text.
 * @returns DER.
 */
export function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text))
}

/**
 * Encodes an OCTET STRING.
 *
 * @param contents Bytes.
 * @returns DER.
 */
export function octetString(contents: Buffer): Buffer {
  return tagged(0x04, contents)
}

/**
 * Encodes a BIT STRING.
 *
 * @param contents Bytes.
 * @param unusedBits How many of the last bits do not count, 0 to 7.
 * @returns DER.
 */
export function bitString(contents: Buffer, unusedBits = 0): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), contents]))
}

/**
 * Encodes a time to the second: UTCTime up to 2049, GeneralizedTime after, as certificates must.
 *
 * @param time Time.
 * @returns DER.
 */
export function certificateTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/\D/g, '').slice(0, 14)
  const isShort = time.getUTCFullYear() < 2050
  return isShort ? tagged(0x17, Buffer.from(`${digits.slice(2)}Z`)) : tagged(0x18, Buffer.from(`${digits}Z`))
}
