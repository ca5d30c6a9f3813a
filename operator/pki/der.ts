/**
 * DER, as far as certificate requests and self-signed certificates need it.
 *
 * @see ITU-T X.690
 * @module
 */

const TAGS = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

/**
 * Writes one element.
 *
 * @param tag Its tag byte.
 * @param contents What it holds.
 * @returns Tag, length and contents.
 */
export function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthBytes(body.length), body])
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

/**
 * Writes a SEQUENCE.
 *
 * @param members In order.
 * @returns The element.
 */
export function sequence(...members: readonly Uint8Array[]): Buffer {
  return element(TAGS.sequence, ...members)
}

/**
 * Writes a SET of one member, so that its order needs no sorting.
 *
 * @param member The member.
 * @returns The element.
 */
export function setOf(member: Uint8Array): Buffer {
  return element(TAGS.set, member)
}

/**
 * Writes a non-negative INTEGER.
 *
 * @param magnitude Big-endian bytes; leading zeros are dropped, and one is added where the first bit is set.
 * @returns The element.
 */
export function integer(magnitude: Uint8Array): Buffer {
  const from = magnitude.findIndex((byte) => byte !== 0)
  const bytes = from < 0 ? Buffer.from([0]) : Buffer.from(magnitude.subarray(from))
  return element(TAGS.integer, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
}

/**
 * Writes an OBJECT IDENTIFIER.
 *
 * @param dotted Such as `2.5.4.3`.
 * @returns The element.
 */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(TAGS.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const bytes = [arc % 128]
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 | (rest % 128))
  return bytes
}

/**
 * Writes a BIT STRING of whole bytes.
 *
 * @param bytes The bits.
 * @param unused Bits of the last byte that do not count.
 * @returns The element.
 */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return element(TAGS.bitString, Buffer.from([unused]), bytes)
}

/**
 * Writes an OCTET STRING.
 *
 * @param bytes What it holds.
 * @returns The element.
 */
export function octetString(bytes: Uint8Array): Buffer {
  return element(TAGS.octetString, bytes)
}

/**
 * Writes a UTF8String.
 *
 * @param text The text.
 * @returns The element.
 */
export function utf8String(text: string): Buffer {
  return element(TAGS.utf8String, Buffer.from(text, 'utf8'))
}

/**
 * Writes BOOLEAN TRUE.
 *
 * @returns The element.
 */
export function isTrue(): Buffer {
  return element(TAGS.boolean, Buffer.from([0xff]))
}

/**
 * Writes a moment as certificates do: two digits of the year up to 2049, four after.
 *
 * @param moment The moment, to the second.
 * @returns The element.
 */
export function time(moment: Date): Buffer {
  const digits = `${moment.toISOString().replace(/\D/g, '').slice(0, 14)}Z`
  return moment.getUTCFullYear() < 2050
    ? element(TAGS.utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : element(TAGS.generalizedTime, Buffer.from(digits, 'ascii'))
}

/**
 * Wraps DER as PEM.
 *
 * @param label Such as `CERTIFICATE REQUEST`.
 * @param der The bytes.
 * @returns PEM with a final newline.
 */
export function pemOf(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
