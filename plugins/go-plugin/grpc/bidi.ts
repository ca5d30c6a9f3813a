/**
 * One bidirectional gRPC call as two awaited functions, so that a conversation reads top to bottom and its status
 * reaches the other side.
 *
 * Node's own stream iterator destroys the call when a loop over it ends, and the client then sees CANCELLED instead
 * of the status or the answer.
 *
 * @module
 */
import type { handleBidiStreamingCall, Metadata, ServerDuplexStream } from '@grpc/grpc-js'

/** gRPC's status code for a call its caller gave up. */
const CANCELLED = 1

/** Why `receive` or `send` failed when the caller has cancelled, or its deadline has passed. */
export class CallCancelledError extends Error {
  override readonly name = 'CallCancelledError'
  readonly code = CANCELLED
  readonly details = 'call cancelled'
}

/** The server's end of one bidirectional call. */
export interface BidiStream<Request, Response> {
  /** Aborts when the caller cancels, its deadline passes, or its connection ends. */
  readonly signal: AbortSignal
  readonly metadata: Metadata
  /**
   * Waits for the next message.
   *
   * @returns The message; `undefined` when the caller sends no more. A cancelled call may also end this way, before
   *   `signal` aborts.
   * @throws {CallCancelledError} The call was cancelled.
   */
  receive(): Promise<Request | undefined>
  /**
   * Sends one message, waiting while the caller does not read.
   *
   * @throws {CallCancelledError} The call was cancelled.
   */
  send(message: Response): Promise<void>
}

/** Status as grpc-js sends it. */
export interface WireStatus {
  readonly code: number
  readonly details: string
}

/** Messages held for a handler that does not ask for them, before the caller is slowed down. */
const MAX_QUEUED = 16

/**
 * Makes a gRPC handler from a function over a stream. The call ends with OK when the function returns, and with the
 * status of what it throws otherwise.
 *
 * @param handle Serves one call.
 * @param toStatus Turns anything thrown into a status.
 * @returns Handler for `addService`.
 */
export function serveBidi<Request, Response>(
  handle: (stream: BidiStream<Request, Response>) => Promise<void>,
  toStatus: (error: unknown) => WireStatus,
): handleBidiStreamingCall<Request, Response> {
  return (call) => {
    const stream = bidi(call)
    handle(stream).then(
      () => call.end(),
      (error: unknown) => {
        if (!stream.signal.aborted) call.emit('error', toStatus(error))
      },
    )
  }
}

/**
 * Turns one call into a stream of awaited messages. The caller of this function ends the call.
 *
 * @param call Call that grpc-js has just handed out; nothing else may read from it.
 * @returns The stream.
 */
export function bidi<Request, Response>(call: ServerDuplexStream<Request, Response>): BidiStream<Request, Response> {
  const cancel = new AbortController()
  const inbox = new Inbox<Request>()
  call.on('data', (message: Request) => {
    if (inbox.add(message) >= MAX_QUEUED) call.pause()
  })
  call.on('end', () => inbox.end())
  call.on('cancelled', () => {
    const reason = new CallCancelledError('call cancelled')
    cancel.abort(reason)
    inbox.fail(reason)
  })
  return {
    signal: cancel.signal,
    metadata: call.metadata,
    receive: () => {
      if (call.isPaused()) call.resume()
      return inbox.take()
    },
    send: (message) => send(call, message, cancel.signal),
  }
}

/** Messages that came before they were asked for, or a question that came before its message. */
class Inbox<T> {
  readonly #messages: T[] = []
  #waiter: { resolve(message: T | undefined): void; reject(error: Error): void } | undefined
  #ended = false
  #failure: Error | undefined

  /** Returns how many messages wait. */
  add(message: T): number {
    const waiter = this.#waiter
    if (waiter === undefined) return this.#messages.push(message)
    this.#waiter = undefined
    waiter.resolve(message)
    return 0
  }

  end(): void {
    this.#ended = true
    this.#waiter?.resolve(undefined)
    this.#waiter = undefined
  }

  fail(error: Error): void {
    this.#failure = error
    this.#messages.length = 0
    this.#waiter?.reject(error)
    this.#waiter = undefined
  }

  take(): Promise<T | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift())
    if (this.#ended) return Promise.resolve(undefined)
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }
}

function send<Request, Response>(
  call: ServerDuplexStream<Request, Response>,
  message: Response,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return Promise.reject(new CallCancelledError('call cancelled'))
  if (call.write(message)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }
    const onAbort = (): void => {
      call.removeListener('drain', onDrain)
      reject(new CallCancelledError('call cancelled'))
    }
    call.once('drain', onDrain)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
