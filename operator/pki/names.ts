/**
 * The names in certificates and requests: subject, alternative names, uses.
 *
 * @see RFC 5280, section 4.2
 * @module
 */
import { BlockList, isIP } from 'node:net'
import { element, isTrue, octetString, oid, sequence, setOf, utf8String } from './der.ts'

/** What a certificate is for, and whose it is. */
export interface CertificateNames {
  readonly commonName: string
  readonly dnsNames?: readonly string[]
  /** IPv4 or IPv6 addresses. */
  readonly ipAddresses?: readonly string[]
  readonly uris?: readonly string[]
}

const COMMON_NAME = '2.5.4.3'
const SUBJECT_ALT_NAME = '2.5.29.17'

/**
 * Writes a distinguished name that is one common name.
 *
 * @param commonName The name.
 * @returns DER.
 */
export function subject(commonName: string): Buffer {
  return sequence(setOf(sequence(oid(COMMON_NAME), utf8String(commonName))))
}

/**
 * Writes one extension.
 *
 * @param id Its object identifier.
 * @param value DER of its value.
 * @param critical Whether a reader that does not know it must refuse.
 * @returns DER.
 */
export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [isTrue()] : []), octetString(value))
}

/**
 * Writes the alternative names as an extension.
 *
 * @param names DNS names, addresses, URIs.
 * @returns DER, or undefined when there are none.
 * @throws {RangeError} An address is none.
 */
export function altNames({ dnsNames = [], ipAddresses = [], uris = [] }: CertificateNames): Buffer | undefined {
  const members = [
    ...dnsNames.map((name) => element(0x82, Buffer.from(name, 'latin1'))),
    ...uris.map((uri) => element(0x86, Buffer.from(uri, 'latin1'))),
    ...ipAddresses.map((address) => element(0x87, addressBytes(address))),
  ]
  return members.length === 0 ? undefined : extension(SUBJECT_ALT_NAME, sequence(...members))
}

/**
 * Writes an address as bytes.
 *
 * @param text IPv4 or IPv6.
 * @returns 4 or 16 bytes.
 * @throws {RangeError} It is no address.
 */
export function addressBytes(text: string): Buffer {
  if (isIP(text) === 4) return Buffer.from(text.split('.').map(Number))
  if (isIP(text) !== 6 || text.includes('%')) throw new RangeError(`${JSON.stringify(text)} is not an IP address`)
  const [head = '', tail = ''] = canonicalV6(text).split('::')
  const [before, after] = [groupsIn(head), groupsIn(tail)]
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

/** Takes an embedded IPv4 address and leading zeros out, by Node's own reading. */
function canonicalV6(text: string): string {
  const list = new BlockList()
  list.addAddress(text, 'ipv6')
  const rule = String(list.rules[0]).replace(/^Address: IPv6 /, '')
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(rule)
  if (mapped === null) return rule
  const [, head = '', a, b, c, d] = mapped
  return `${head}${hexGroup(a, b)}:${hexGroup(c, d)}`
}

function hexGroup(high?: string, low?: string): string {
  return ((Number(high) << 8) | Number(low)).toString(16)
}

function groupsIn(part: string): number[] {
  return part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
}
