/**
 * The life of one request: time limits and the caller's signal, told to whatever the request waits for at the moment.
 *
 * @module
 */
import type { KeylimeError } from '../basis/errors.ts'

/** The span of one request: until its time limit passes or the caller aborts, whichever is first. */
export class RequestScope {
  readonly #signal: AbortSignal | undefined
  readonly #explain: (why: 'timeout' | 'cancelled') => KeylimeError
  #timer: NodeJS.Timeout | undefined
  readonly #onAbort: () => void
  #ended: KeylimeError | undefined
  #listener: ((error: KeylimeError) => void) | undefined

  /**
   * @param signal The caller's signal.
   * @param explain Makes the error when the scope ends early.
   */
  constructor(signal: AbortSignal | undefined, explain: (why: 'timeout' | 'cancelled') => KeylimeError) {
    this.#explain = explain
    this.#onAbort = () => this.#end('cancelled')
    this.#signal = signal
    if (signal?.aborted === true) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /**
   * Sets the time limit of what the request does now; the limit before is forgotten.
   *
   * @param timeoutMs Milliseconds from now.
   * @param more Asked when the limit is reached: milliseconds to go on for, 0 or less to end.
   */
  limit(timeoutMs: number, more?: () => number): void {
    clearTimeout(this.#timer)
    // A plain timer, since undici's own fire up to a second late, and AbortSignal.any costs more than the request.
    this.#timer = setTimeout(() => {
      const goOnMs = more?.() ?? 0
      if (goOnMs > 0) this.limit(goOnMs, more)
      else this.#end('timeout')
    }, timeoutMs)
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

  #end(why: 'timeout' | 'cancelled'): void {
    if (this.#ended !== undefined) return
    this.#ended = this.#explain(why)
    this.#listener?.(this.#ended)
  }
}
