/**
 * Many streams over one connection, in hashicorp's yamux. No package on npm that speaks it is fit to be a run-time
 * dependency here, so this is the small part of it that go-plugin uses.
 *
 * @see hashicorp/yamux v0.1.2, session.go
 * @module
 */
import type { Duplex } from 'node:stream'
import { encodeHeader, FLAG, FRAME, type FrameHeader, GO_AWAY, newFrameReader } from './yamux-frame.ts'
import { type StreamSession, YamuxStream } from './yamux-stream.ts'

/** Many streams over one connection. */
export interface StreamMuxer {
  /**
   * Opens a stream to the other side.
   *
   * @throws {Error} The session has ended, or the other side takes no more streams.
   */
  readonly open: () => Duplex
  /** Ends the session and all its streams. */
  readonly close: () => void
  /** Whether the session has ended. */
  readonly isClosed: () => boolean
}

/** Streams a peer may have open at once; go-plugin opens one for each connection. */
const MAX_STREAMS = 4096

/**
 * Speaks yamux on a connection.
 *
 * @param connection A connected socket.
 * @param side `server` for the side that accepted the connection: the plugin.
 * @param onStream Takes the streams the other side opens, at once and in order.
 * @returns The session.
 */
export function newYamuxSession(
  connection: Duplex,
  side: 'server' | 'client',
  onStream: (stream: Duplex) => void,
): StreamMuxer {
  const session = new Session(connection, side === 'server' ? 2 : 1, onStream)
  return { open: () => session.open(), close: () => session.close(), isClosed: () => session.isClosed() }
}

class Session implements StreamSession {
  readonly #connection: Duplex
  readonly #onStream: (stream: Duplex) => void
  readonly #streams = new Map<number, YamuxStream>()
  readonly #firstId: number
  #nextId: number
  #peerLeaves = false
  #closed = false
  /** Stream whose data frame carries FIN, until its data is complete. */
  #finAfter: { streamId: number; left: number } | undefined

  constructor(connection: Duplex, firstId: number, onStream: (stream: Duplex) => void) {
    this.#connection = connection
    this.#firstId = firstId
    this.#nextId = firstId
    this.#onStream = onStream
    const read = newFrameReader({
      header: (header) => this.#received(header),
      data: (streamId, piece) => this.#receivedData(streamId, piece),
    })
    connection.on('data', (bytes: Buffer) => {
      try {
        if (!this.#closed) read(bytes)
      } catch (error) {
        this.#fail(error)
      }
    })
    connection.on('error', () => this.#end())
    connection.on('end', () => this.#end())
    connection.on('close', () => this.#end())
  }

  isClosed(): boolean {
    return this.#closed
  }

  open(): YamuxStream {
    if (this.#closed) throw new Error('yamux session has ended')
    if (this.#peerLeaves) throw new Error('yamux: the other side takes no more streams')
    const stream = new YamuxStream(this.#nextId, this)
    this.#nextId += 2
    this.#streams.set(stream.id, stream)
    this.send({ type: FRAME.windowUpdate, flags: FLAG.syn, streamId: stream.id, length: 0 })
    return stream
  }

  close(): void {
    if (this.#closed) return
    this.send({ type: FRAME.goAway, flags: 0, streamId: 0, length: GO_AWAY.normal })
    this.#end()
  }

  send(header: FrameHeader, data?: Buffer, sent?: () => void): void {
    if (this.#closed || this.#connection.destroyed) return sent?.()
    const bytes = encodeHeader(header)
    if (data === undefined) {
      this.#connection.write(bytes, sent && ((): void => sent()))
      return
    }
    this.#connection.cork()
    this.#connection.write(bytes)
    this.#connection.write(data, sent && ((): void => sent()))
    this.#connection.uncork()
  }

  forget(streamId: number): void {
    this.#streams.delete(streamId)
  }

  #received(header: FrameHeader): void {
    if (header.type === FRAME.ping) return this.#ping(header)
    if (header.type === FRAME.goAway) return this.#goAway(header)
    if ((header.flags & FLAG.syn) !== 0) this.#incoming(header.streamId)
    // A stream we have reset may still receive; its data is read and dropped.
    const stream = this.#streams.get(header.streamId)
    if (stream === undefined) return
    const isData = header.type === FRAME.data
    if (isData) stream.reserve(header.length)
    else stream.widen(header.length)
    stream.flagged(header.flags)
    if ((header.flags & FLAG.fin) === 0) return
    if (isData && header.length > 0) this.#finAfter = { streamId: header.streamId, left: header.length }
    else stream.finished()
  }

  #receivedData(streamId: number, piece: Buffer): void {
    this.#streams.get(streamId)?.deliver(piece)
    const fin = this.#finAfter
    if (fin === undefined || fin.streamId !== streamId) return
    fin.left -= piece.length
    if (fin.left > 0) return
    this.#finAfter = undefined
    this.#streams.get(streamId)?.finished()
  }

  #incoming(streamId: number): void {
    if (streamId === 0 || streamId % 2 === this.#firstId % 2) {
      throw new Error(`yamux stream id ${streamId} belongs to this side`)
    }
    if (this.#streams.has(streamId)) throw new Error(`yamux stream ${streamId} was opened twice`)
    if (this.#streams.size >= MAX_STREAMS) {
      this.send({ type: FRAME.windowUpdate, flags: FLAG.rst, streamId, length: 0 })
      return
    }
    const stream = new YamuxStream(streamId, this)
    this.#streams.set(streamId, stream)
    this.send({ type: FRAME.windowUpdate, flags: FLAG.ack, streamId, length: 0 })
    this.#onStream(stream)
  }

  #ping(header: FrameHeader): void {
    if ((header.flags & FLAG.syn) === 0) return
    this.send({ type: FRAME.ping, flags: FLAG.ack, streamId: 0, length: header.length })
  }

  #goAway(header: FrameHeader): void {
    if (header.length !== GO_AWAY.normal) throw new Error(`yamux: the other side gave up with code ${header.length}`)
    this.#peerLeaves = true
  }

  #fail(error: unknown): void {
    this.send({ type: FRAME.goAway, flags: 0, streamId: 0, length: GO_AWAY.protocolError })
    this.#end(error instanceof Error ? error : new Error(String(error)))
  }

  #end(error: Error = new Error('yamux session has ended')): void {
    if (this.#closed) return
    this.#closed = true
    for (const stream of this.#streams.values()) stream.destroy(error)
    this.#connection.end(() => this.#connection.destroy())
  }
}
