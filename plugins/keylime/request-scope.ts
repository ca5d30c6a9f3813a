/**
 * The life of one request: a deadline and the caller's signal, told to whatever the request waits for at the moment.
 *
 * @module
 */
import type { KeylimeError } from './errors.ts'

/** Ends when the deadline passes or the caller aborts, whichever is first. */
export class RequestScope {
  readonly #signal: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout
  readonly #onAbort: () => void
  #ended: KeylimeError | undefined
  #listener: ((error: KeylimeError) => void) | undefined

  /**
   * @param timeoutMs Milliseconds from now.
   * @param signal The caller's signal.
   * @param explain Makes the error when the scope ends early.
   */
  constructor(
    timeoutMs: number,
    signal: AbortSignal | undefined,
    explain: (why: 'timeout' | 'cancelled') => KeylimeError,
  ) {
    // A plain timer, since undici's own fire up to a second late, and AbortSignal.any costs more than the request.
    this.#timer = setTimeout(() => this.#end(explain('timeout')), timeoutMs)
    this.#onAbort = () => this.#end(explain('cancelled'))
    this.#signal = signal
    if (signal?.aborted === true) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Why the scope ended early; undefined while it lives. */
  get ended(): KeylimeError | undefined {
    return this.#ended
  }

  /**
   * Says what the request waits for now; the one before is forgotten.
   *
   * @param listener Called once when the scope ends early; at once when it has.
   */
  waitFor(listener: ((error: KeylimeError) => void) | undefined): void {
    this.#listener = listener
    if (this.#ended !== undefined) listener?.(this.#ended)
  }

  /** Ends the scope with its request: no timer and no listener stays behind. */
  close(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#listener = undefined
  }

  #end(error: KeylimeError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    this.#listener?.(error)
  }
}
