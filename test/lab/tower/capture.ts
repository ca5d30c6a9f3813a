/**
 * What was seen on a host's network: TCP flows put together from captured frames, and what each of them speaks.
 *
 * @see IEEE 802.3, RFC 791 (IPv4), RFC 9293 (TCP), RFC 8446 section 5.1 (TLS records)
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SYSTEM_PYTHON } from '../parts/debian.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'

/** What one side of a connection says. */
export interface Flow {
  readonly from: string
  readonly fromPort: number
  readonly to: string
  readonly toPort: number
  /** The payload in order, as far as it was seen from its first byte on. */
  readonly bytes: Buffer
}

interface Segment extends Omit<Flow, 'bytes'> {
  readonly sequence: number
  readonly syn: boolean
  readonly payload: Buffer
}

const ETHERNET_BYTES = 14
const ETHERTYPE_IPV4 = 0x0800
const PROTOCOL_TCP = 6
const SYN = 0x02
const WRAP = 2 ** 32

/** Record types of TLS: change cipher spec, alert, handshake, application data. */
const TLS_TYPES: ReadonlySet<number> = new Set([20, 21, 22, 23])
const TLS_HEADER_BYTES = 5

/** Starts to write down all frames of a host. */
export async function startCapture(starter: ProcessStarter, file: string): Promise<RigProcess> {
  const args = [join(import.meta.dirname, 'capture.py'), file]
  const started = starter.start({ name: 'capture', command: SYSTEM_PYTHON, args })
  await pollUntil('the capture to begin', () => started.readLog().includes('Listening'), {
    logFile: started.logFile,
    abort: () => started.requireRunning(),
  })
  return started
}

/**
 * Puts the flows together that began while frames were written down.
 *
 * @param file From {@link startCapture}; a frame cut off at its end is left out.
 */
export function readFlows(file: string): readonly Flow[] {
  return flowsOf(readFileSync(file))
}

/** Puts the flows together from frames as `capture.py` writes them. */
export function flowsOf(capture: Buffer): readonly Flow[] {
  const all: { readonly first: Segment; readonly parts: Map<number, Buffer> }[] = []
  const latest = new Map<string, (typeof all)[number]>()
  for (const frame of framesOf(capture)) {
    const segment = segmentOf(frame)
    if (segment === undefined) continue
    const key = `${segment.from}:${segment.fromPort}>${segment.to}:${segment.toPort}`
    // A port that is used again begins a new flow; on the loopback each frame is seen twice.
    if (segment.syn && latest.get(key)?.first.sequence !== segment.sequence) {
      const begun = { first: segment, parts: new Map<number, Buffer>() }
      all.push(begun)
      latest.set(key, begun)
    }
    const flow = latest.get(key)
    if (flow === undefined || segment.payload.length === 0) continue
    const offset = (segment.sequence - flow.first.sequence - 1 + WRAP) % WRAP
    if ((flow.parts.get(offset)?.length ?? 0) < segment.payload.length) flow.parts.set(offset, segment.payload)
  }
  return all.map(({ first, parts }) => ({
    from: first.from,
    fromPort: first.fromPort,
    to: first.to,
    toPort: first.toPort,
    bytes: inOrder(parts),
  }))
}

/**
 * Says what a flow speaks.
 *
 * @returns `tls`: records from the first byte to the last; `http`: a request or an answer in clear text; else `other`.
 */
export function speaks(bytes: Buffer): 'nothing' | 'tls' | 'http' | 'other' {
  if (bytes.length === 0) return 'nothing'
  if (/^(GET|POST|PUT|DELETE|HEAD|PATCH|HTTP\/1\.[01]) ?/.test(bytes.subarray(0, 16).toString('latin1'))) return 'http'
  return isTls(bytes) ? 'tls' : 'other'
}

/**
 * Reads which TLS version a server chose.
 *
 * @returns `0x0304` for TLS 1.3; `undefined` when there is no ServerHello.
 * @see RFC 8446 section 4.1.3, 4.2.1
 */
export function tlsVersion(bytes: Buffer): number | undefined {
  const SERVER_HELLO = 2
  const SUPPORTED_VERSIONS = 43
  if (bytes.length < 48 || bytes[0] !== 22 || bytes[5] !== SERVER_HELLO) return undefined
  const legacy = bytes.readUInt16BE(9)
  const extensionsAt = 44 + (bytes[43] ?? 0) + 3
  if (extensionsAt + 2 > bytes.length) return legacy
  const end = Math.min(bytes.length, extensionsAt + 2 + bytes.readUInt16BE(extensionsAt))
  for (let at = extensionsAt + 2; at + 6 <= end; at += 4 + bytes.readUInt16BE(at + 2)) {
    if (bytes.readUInt16BE(at) === SUPPORTED_VERSIONS) return bytes.readUInt16BE(at + 4)
  }
  return legacy
}

function isTls(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += TLS_HEADER_BYTES + bytes.readUInt16BE(at + 3)) {
    if (!TLS_TYPES.has(bytes[at] ?? 0)) return false
    // The last record may have been cut off with the capture.
    if (at + TLS_HEADER_BYTES > bytes.length) return true
    if (bytes[at + 1] !== 3) return false
  }
  return true
}

function* framesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (at + 4 + length > bytes.length) return
    yield bytes.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}

function segmentOf(frame: Buffer): Segment | undefined {
  if (frame.length < ETHERNET_BYTES + 40 || frame.readUInt16BE(12) !== ETHERTYPE_IPV4) return undefined
  const packet = frame.subarray(ETHERNET_BYTES)
  const ipBytes = ((packet[0] ?? 0) & 0x0f) * 4
  if (packet[9] !== PROTOCOL_TCP) return undefined
  // The frame may be padded; a packet that the card would still cut up says 0.
  const total = packet.readUInt16BE(2) || packet.length
  const tcp = packet.subarray(ipBytes, total)
  if (tcp.length < 20) return undefined
  const address = (at: number): string => [...packet.subarray(at, at + 4)].join('.')
  return {
    from: address(12),
    fromPort: tcp.readUInt16BE(0),
    to: address(16),
    toPort: tcp.readUInt16BE(2),
    sequence: tcp.readUInt32BE(4),
    syn: ((tcp[13] ?? 0) & SYN) !== 0,
    payload: tcp.subarray(((tcp[12] ?? 0) >> 4) * 4),
  }
}

function inOrder(parts: ReadonlyMap<number, Buffer>): Buffer {
  const ordered = [...parts].toSorted(([one], [other]) => one - other)
  const taken: Buffer[] = []
  let next = 0
  for (const [offset, part] of ordered) {
    if (offset > next) break
    if (offset + part.length <= next) continue
    taken.push(part.subarray(next - offset))
    next = offset + part.length
  }
  return Buffer.concat(taken)
}
