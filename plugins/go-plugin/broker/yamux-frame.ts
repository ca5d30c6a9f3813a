/**
 * The frames of yamux version 0: twelve bytes of header, then data for data frames.
 *
 * @see hashicorp/yamux v0.1.2, spec.md and const.go
 * @module
 */

/** Kinds of frames. */
export const FRAME = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const

/** Flags of a frame. */
export const FLAG = { syn: 1, ack: 2, fin: 4, rst: 8 } as const

/** Reasons of a "go away". */
export const GO_AWAY = { normal: 0, protocolError: 1, internalError: 2 } as const

/** Bytes either side may send on a stream before it is told to go on. */
export const INITIAL_WINDOW = 256 * 1024

const HEADER_BYTES = 12

/** A frame's header; `length` is a size, a window delta, a ping's number or a reason, by type. */
export interface FrameHeader {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly length: number
}

/**
 * Encodes a header.
 *
 * @param header What to say.
 * @returns Twelve bytes.
 */
export function encodeHeader(header: FrameHeader): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES)
  bytes.writeUInt8(0, 0)
  bytes.writeUInt8(header.type, 1)
  bytes.writeUInt16BE(header.flags, 2)
  bytes.writeUInt32BE(header.streamId, 4)
  bytes.writeUInt32BE(header.length, 8)
  return bytes
}

/** What a reader finds: each header once, and the data after it in pieces as they come. */
export interface FrameSink {
  /** @throws {Error} The peer breaks the protocol. */
  header(header: FrameHeader): void
  data(streamId: number, piece: Buffer): void
}

/**
 * Makes a function that cuts a byte stream into frames, however it is chopped.
 *
 * @param sink Takes what is found.
 * @returns Function that takes the next bytes; it throws an `Error` on bytes that are no yamux.
 */
export function newFrameReader(sink: FrameSink): (bytes: Buffer) => void {
  let partial: Buffer = Buffer.alloc(0)
  let data = { streamId: 0, left: 0 }
  return (bytes) => {
    let rest: Buffer = partial.length > 0 ? Buffer.concat([partial, bytes]) : bytes
    partial = Buffer.alloc(0)
    while (rest.length > 0) {
      if (data.left > 0) {
        const piece = rest.subarray(0, data.left)
        data = { streamId: data.streamId, left: data.left - piece.length }
        rest = rest.subarray(piece.length)
        sink.data(data.streamId, piece)
        continue
      }
      if (rest.length < HEADER_BYTES) {
        partial = rest
        return
      }
      const header = decodeHeader(rest)
      rest = rest.subarray(HEADER_BYTES)
      sink.header(header)
      if (header.type === FRAME.data) data = { streamId: header.streamId, left: header.length }
    }
  }
}

function decodeHeader(bytes: Buffer): FrameHeader {
  const version = bytes.readUInt8(0)
  if (version !== 0) throw new Error(`yamux version is ${version}, expected 0`)
  const type = bytes.readUInt8(1)
  if (type > FRAME.goAway) throw new Error(`yamux frame type is ${type}, expected 0 to 3`)
  return { type, flags: bytes.readUInt16BE(2), streamId: bytes.readUInt32BE(4), length: bytes.readUInt32BE(8) }
}
