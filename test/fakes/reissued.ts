// A certificate with one part of its bytes put in anew, signed again by its CA: what no certificate library would make.
import { sign } from 'node:crypto'
import type { TestCa } from './pki.ts'

const VALIDITY = 4
const KEY = 6

/**
 * Signs a version 3 certificate anew, with another key or other dates in it.
 * @param ca Its CA, with a key on P-256.
 * @param parts `key`: a whole SubjectPublicKeyInfo. `dates`: two UTCTimes as text, such as `261301000000Z`.
 * @returns The new certificate, DER.
 */
export function reissued(
  der: Uint8Array,
  ca: TestCa,
  parts: { readonly key?: Buffer; readonly dates?: readonly [string, string] },
): Buffer {
  const [body = Buffer.alloc(0), algorithm = Buffer.alloc(0)] = membersOf(Buffer.from(der))
  const fields = membersOf(body)
  if (parts.key !== undefined) fields[KEY] = parts.key
  if (parts.dates !== undefined) fields[VALIDITY] = sequence(...parts.dates.map(utcTime))
  const changed = sequence(...fields)
  return sequence(changed, algorithm, bitString(sign('sha256', changed, ca.keyPem())))
}

/**
 * Writes a SubjectPublicKeyInfo.
 * @param parameters DER of its parameters.
 * @returns DER.
 */
export function subjectKey(oid: string, parameters: Buffer, key: Buffer): Buffer {
  return sequence(sequence(objectIdentifier(oid), parameters), bitString(key))
}

function tagged(tag: number, contents: Buffer): Buffer {
  const size = contents.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), contents])
}

function sequence(...items: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(items))
}

function bitString(bytes: Uint8Array): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.of(0), bytes]))
}

function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const arcs = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return tagged(0x06, Buffer.from(arcs))
}

/**
 * Takes a DER sequence apart.
 * @param der The sequence, and nothing that matters after it.
 * @returns Its members, each with its header.
 */
export function membersOf(der: Buffer): Buffer[] {
  const members: Buffer[] = []
  const last = endOf(der, 0)
  for (let at = endOfHeader(der, 0); at < last; at = endOf(der, at)) members.push(der.subarray(at, endOf(der, at)))
  return members
}

function endOf(der: Buffer, at: number): number {
  const short = der.readUInt8(at + 1)
  return endOfHeader(der, at) + (short < 0x80 ? short : der.readUIntBE(at + 2, short - 0x80))
}

function endOfHeader(der: Buffer, at: number): number {
  const short = der.readUInt8(at + 1)
  return at + 2 + (short < 0x80 ? 0 : short - 0x80)
}

function utcTime(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x17, text.length]), Buffer.from(text, 'latin1')])
}
