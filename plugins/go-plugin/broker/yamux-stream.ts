/**
 * One stream of a yamux session, as a Node duplex stream with flow control in both directions.
 *
 * @module
 */
import { Duplex } from 'node:stream'
import { FLAG, FRAME, type FrameHeader, INITIAL_WINDOW } from './yamux-frame.ts'

/** What a stream needs of its session. */
export interface StreamSession {
  /** Sends a frame; `sent` is called when the connection can take more. */
  send(header: FrameHeader, data?: Buffer, sent?: () => void): void
  /** Forgets the stream. */
  forget(streamId: number): void
}

/** One frame's share, so that one busy stream does not hold up the others. */
const MAX_FRAME_BYTES = 64 * 1024

interface WaitingWrite {
  readonly bytes: Buffer
  readonly done: (error?: Error | null) => void
}

/** A stream; made by its session. */
export class YamuxStream extends Duplex {
  readonly id: number
  readonly #session: StreamSession
  #sendWindow = INITIAL_WINDOW
  #receiveWindow = INITIAL_WINDOW
  #waiting: WaitingWrite | undefined
  #finSent = false
  #finReceived = false
  #reset = false

  constructor(id: number, session: StreamSession) {
    super({ highWaterMark: INITIAL_WINDOW / 2, allowHalfOpen: true })
    this.id = id
    this.#session = session
    // Who uses the stream sees its end; an error nobody listens to must not end the process.
    this.on('error', () => undefined)
  }

  /**
   * Takes note of a data frame that begins.
   *
   * @throws {Error} The peer sends more than it was allowed.
   */
  reserve(bytes: number): void {
    if (bytes > this.#receiveWindow) {
      throw new Error(`yamux stream ${this.id}: ${bytes} bytes received, ${this.#receiveWindow} allowed`)
    }
    this.#receiveWindow -= bytes
  }

  /** Takes received bytes. */
  deliver(piece: Buffer): void {
    if (!this.destroyed && !this.#finReceived) this.push(piece)
  }

  /** Takes the flags of a frame. */
  flagged(flags: number): void {
    if ((flags & FLAG.rst) !== 0) {
      this.#reset = true
      this.destroy(new Error(`yamux stream ${this.id}: reset by the peer`))
    }
  }

  /** Takes the FIN flag, once the data of its frame has been delivered. */
  finished(): void {
    if (this.#finReceived) return
    this.#finReceived = true
    this.push(null)
  }

  /** Allows more bytes to be sent. */
  widen(delta: number): void {
    this.#sendWindow += delta
    const waiting = this.#waiting
    if (waiting === undefined || this.#sendWindow === 0) return
    this.#waiting = undefined
    this.#sendPieces(waiting.bytes, waiting.done)
  }

  override _read(): void {
    // Node asks again only after a push: whatever still lies in its buffer, the window is opened whole.
    const delta = INITIAL_WINDOW - this.#receiveWindow
    if (delta < INITIAL_WINDOW / 2 || this.#finReceived) return
    this.#receiveWindow += delta
    this.#session.send({ type: FRAME.windowUpdate, flags: 0, streamId: this.id, length: delta })
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#sendPieces(chunk, done)
  }

  #sendPieces(bytes: Buffer, done: (error?: Error | null) => void): void {
    let rest = bytes
    while (rest.length > 0) {
      const size = Math.min(rest.length, this.#sendWindow, MAX_FRAME_BYTES)
      if (size === 0) {
        this.#waiting = { bytes: rest, done }
        return
      }
      this.#sendWindow -= size
      const header = { type: FRAME.data, flags: 0, streamId: this.id, length: size }
      const isLast = size === rest.length
      this.#session.send(header, rest.subarray(0, size), isLast ? () => done() : undefined)
      rest = rest.subarray(size)
    }
    if (bytes.length === 0) done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finSent = true
    this.#session.send({ type: FRAME.windowUpdate, flags: FLAG.fin, streamId: this.id, length: 0 })
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A stream that has said FIN may be forgotten by the other side already: then RST would only puzzle it.
    if (!this.#reset && !this.#finSent) {
      const flags = this.#finReceived ? FLAG.fin : FLAG.rst
      this.#session.send({ type: FRAME.windowUpdate, flags, streamId: this.id, length: 0 })
    }
    this.#session.forget(this.id)
    this.#waiting?.done(error ?? new Error(`yamux stream ${this.id}: closed`))
    this.#waiting = undefined
    done(error)
  }
}
