/**
 * ASN.1 in DER, read element by element: enough to find the public key in a stranger's certificate.
 *
 * Pure bytes: nothing of a stranger's key is handed to OpenSSL before it is known what it is.
 *
 * @see ITU-T X.690, section 8
 * @module
 */

/** One element, without its header. */
export interface DerElement {
  /** The identifier octet: class, form and number. */
  readonly tag: number
  readonly body: Buffer
}

/** The tags read here. */
export const DER = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
  version: 0xa0,
} as const

/** Bytes that are not the DER expected. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

/** Bound on the members of one sequence; a certificate has ten. */
const MAX_MEMBERS = 64

/**
 * Reads the first element; what follows it is left alone, since makers pad certificates.
 *
 * @param bytes DER.
 * @param tag What it must be.
 * @returns Its body.
 * @throws {DerError} Truncated, another tag, or a length that DER does not allow.
 */
export function readDer(bytes: Buffer, tag: number): Buffer {
  return requireTag(elementAt(bytes, 0).element, tag)
}

/**
 * Reads all members of a constructed body.
 *
 * @param body Body of a sequence.
 * @returns The members in order.
 * @throws {DerError} A member is truncated, or there are more than 64.
 */
export function membersOf(body: Buffer): readonly DerElement[] {
  const members: DerElement[] = []
  for (let at = 0; at < body.length; ) {
    const { element, end } = elementAt(body, at)
    members.push(element)
    if (members.length > MAX_MEMBERS) throw new DerError(`more than ${MAX_MEMBERS} members`)
    at = end
  }
  return members
}

/**
 * Requires that an element is there and has a tag.
 *
 * @param element The element, or undefined where there is none.
 * @param tag What it must be.
 * @returns Its body.
 * @throws {DerError} It is missing or another one.
 */
export function requireTag(element: DerElement | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw new DerError(`expected tag ${tag}, found ${element?.tag ?? 'nothing'}`)
  return element.body
}

/**
 * Drops leading zeros, so that numbers and field elements can be compared however they are padded.
 *
 * @param bytes Big-endian, unsigned.
 * @returns The bytes from the first that is not zero.
 */
export function withoutLeadingZeros(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0)
  return bytes.subarray(first === -1 ? bytes.length : first)
}

function elementAt(bytes: Buffer, at: number): { readonly element: DerElement; readonly end: number } {
  const tag = byteAt(bytes, at)
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes')
  const { start, length } = lengthAt(bytes, at + 1)
  const end = start + length
  if (end > bytes.length) throw new DerError('truncated')
  return { element: { tag, body: bytes.subarray(start, end) }, end }
}

function lengthAt(bytes: Buffer, at: number): { readonly start: number; readonly length: number } {
  const first = byteAt(bytes, at)
  if (first < 0x80) return { start: at + 1, length: first }
  const octets = first - 0x80
  // Three octets are 16 MiB; none is the indefinite form, which DER does not know.
  if (octets < 1 || octets > 3) throw new DerError(`a length of ${octets} octets`)
  byteAt(bytes, at + octets)
  return { start: at + 1 + octets, length: bytes.readUIntBE(at + 1, octets) }
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new DerError('truncated')
  return byte
}
