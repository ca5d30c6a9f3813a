/**
 * ECDSA signatures in DER, the form that X.509 and Go carry.
 *
 * @see RFC 3279, 2.2.3 (Ecdsa-Sig-Value)
 * @module
 */

const SEQUENCE = 0x30
const INTEGER = 0x02
const LONG_FORM = 0x80

/**
 * Encodes a signature.
 *
 * @param r Big-endian, at most 66 bytes, with or without leading zeros.
 * @param s The same.
 * @returns DER.
 */
export function ecdsaDer(r: Uint8Array, s: Uint8Array): Buffer {
  return element(SEQUENCE, Buffer.concat([integer(r), integer(s)]))
}

function integer(value: Uint8Array): Buffer {
  const first = value.findIndex((byte) => byte !== 0)
  const significant = first === -1 ? Buffer.alloc(1) : Buffer.from(value.subarray(first))
  const isNegative = significant.readUInt8(0) >= 0x80
  return element(INTEGER, isNegative ? Buffer.concat([Buffer.alloc(1), significant]) : significant)
}

function element(tag: number, content: Buffer): Buffer {
  const length = content.length < LONG_FORM ? [content.length] : [LONG_FORM | 1, content.length]
  return Buffer.concat([Buffer.of(tag, ...length), content])
}
