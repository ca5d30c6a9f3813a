/**
 * The capture that keeps `process.stdout` and `process.stderr` away from the descriptors 1 and 2, which belong to the host's parsers.
 *
 * What code prints waits here, bounded, until the host reads it through the stdio service.
 *
 * @module
 */
import { Writable } from 'node:stream'

/** Channel numbers of `plugin.StdioData`. */
export type OutputChannel = 1 | 2

/** Some bytes that were printed. */
export interface OutputChunk {
  readonly channel: OutputChannel
  readonly data: Buffer
}

/** How much output waits for a host that does not read; then the oldest is dropped. */
const MAX_WAITING_BYTES = 1024 * 1024
const MAX_CHUNK_BYTES = 32 * 1024

/** Bounded queue between code that prints and the host that reads. */
export class OutputCapture {
  readonly #chunks: OutputChunk[] = []
  readonly #readers: ((chunk: OutputChunk | undefined) => void)[] = []
  #waitingBytes = 0
  #droppedBytes = 0

  /**
   * Takes printed bytes. Never blocks and never fails.
   *
   * @param channel 1 for stdout, 2 for stderr.
   * @param bytes What was printed; cut into pieces of 32 KiB.
   */
  push(channel: OutputChannel, bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES) {
      // A copy: the printer may reuse its buffer, and a slice would keep the whole of it alive.
      this.#add({ channel, data: Buffer.from(bytes.subarray(at, at + MAX_CHUNK_BYTES)) })
    }
  }

  #add(chunk: OutputChunk): void {
    const reader = this.#readers.shift()
    if (reader !== undefined) return reader(chunk)
    this.#chunks.push(chunk)
    this.#waitingBytes += chunk.data.length
    while (this.#waitingBytes > MAX_WAITING_BYTES) {
      const oldest = this.#chunks.shift()
      if (oldest === undefined) return
      this.#waitingBytes -= oldest.data.length
      this.#droppedBytes += oldest.data.length
    }
  }

  /**
   * Takes the next printed bytes out of the queue, waiting for them.
   *
   * @param signal Ends the wait.
   * @returns The oldest bytes, each given once; `undefined` when the signal aborted.
   */
  next(signal: AbortSignal): Promise<OutputChunk | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    const ready = this.#take()
    if (ready !== undefined) return Promise.resolve(ready)
    return new Promise((resolve) => {
      const settle = (chunk: OutputChunk | undefined): void => {
        signal.removeEventListener('abort', onAbort)
        resolve(chunk)
      }
      const onAbort = (): void => {
        this.#readers.splice(this.#readers.indexOf(settle), 1)
        settle(undefined)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#readers.push(settle)
    })
  }

  #take(): OutputChunk | undefined {
    if (this.#droppedBytes > 0) {
      const notice = `... ${this.#droppedBytes} bytes of older output were dropped: nobody had read them\n`
      this.#droppedBytes = 0
      return { channel: 2, data: Buffer.from(notice) }
    }
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) this.#waitingBytes -= chunk.data.length
    return chunk
  }

  /**
   * Empties the queue into text for descriptor 2, when no host will ever read it.
   *
   * @returns Lines the host's log parser cannot mistake for JSON.
   */
  drainForStderr(): string {
    let text = ''
    for (let chunk = this.#take(); chunk !== undefined; chunk = this.#take()) text += chunk.data.toString()
    return text.replace(/^\s*(?=\{)/gm, 'output: ')
  }
}

/**
 * Replaces `process.stdout`, `process.stderr` and what `console` writes to.
 *
 * @param capture Takes the bytes from now on.
 */
export function captureProcessOutput(capture: OutputCapture): void {
  redirect('stdout', capture, 1)
  redirect('stderr', capture, 2)
}

function redirect(name: 'stdout' | 'stderr', capture: OutputCapture, channel: OutputChannel): void {
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      capture.push(channel, chunk)
      done()
    },
  })
  // The real stream is not touched: Node would open it, and make the pipe non-blocking for everyone who shares it.
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream })
  // Whoever used console before has bound it to the real stream.
  Reflect.set(console, `_${name}`, stream)
}
