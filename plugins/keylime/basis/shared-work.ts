/**
 * Work that several wait for at once: it ends when the last of them has gone, and its failure is only theirs who began it.
 *
 * @module
 */
import { isKeylimeError } from './errors.ts'
import { isServiceDown } from './failures.ts'
import { abortReason, untilAborted } from './signals.ts'

/** How often one who only waited for the work of others asks again himself when it failed. */
const MAX_JOINED = 20
/** The same when it took its whole time to fail. */
const MAX_JOINED_TIMEOUTS = 1

interface Run<T> {
  readonly promise: Promise<T>
  readonly controller: AbortController
  waiting: number
  isOver: boolean
}

/** One piece of work that is done once for all who ask while it is under way. */
export class SharedWork<T> {
  readonly #work: (signal: AbortSignal, close: () => void) => Promise<T>
  readonly #why: (signal: AbortSignal) => Error
  /** What may still be joined. */
  #open: Run<T> | undefined

  /**
   * @param work Does it; its signal aborts when nobody waits any more. `close`: from here on nobody may join, and who asks
   *   later begins anew.
   * @param why Makes the error when a caller's own signal ends its wait; default: the signal's reason.
   */
  constructor(
    work: (signal: AbortSignal, close: () => void) => Promise<T>,
    why: (signal: AbortSignal) => Error = abortReason,
  ) {
    this.#work = work
    this.#why = why
  }

  /**
   * Has the work done, or waits for that of another caller.
   *
   * A failure of the work of another is no answer to this caller, unless it says that the service itself is down: then
   * this one asks again.
   *
   * @param signal Ends this caller's wait; undefined: nothing does.
   * @returns What the work gives.
   * @throws {Error} What `why` makes, or what the work failed with.
   */
  async join(signal?: AbortSignal): Promise<T> {
    for (let joined = 0; ; joined += 1) {
      if (signal !== undefined && hasGone(signal)) throw this.#why(signal)
      const isOthers = this.#open !== undefined
      try {
        return await this.#waitFor(this.#open ?? this.#begin(), signal)
      } catch (error) {
        const isOver = (signal !== undefined && hasGone(signal)) || isServiceDown(error)
        const limit = isKeylimeError(error, 'KEYLIME_TIMEOUT') ? MAX_JOINED_TIMEOUTS : MAX_JOINED
        if (!isOthers || isOver || joined >= limit) throw error
      }
    }
  }

  #begin(): Run<T> {
    const controller = new AbortController()
    const close = (): void => {
      if (this.#open?.controller === controller) this.#open = undefined
    }
    const promise = this.#work(controller.signal, close)
    const run = { promise, controller, waiting: 0, isOver: false }
    this.#open = run
    const end = (): void => {
      run.isOver = true
      close()
    }
    // Before any waiter hears of it, so that none of them joins what is over.
    promise.then(end, end)
    return run
  }

  async #waitFor(run: Run<T>, signal: AbortSignal | undefined): Promise<T> {
    run.waiting += 1
    try {
      return await untilAborted(signal, run.promise, this.#why)
    } finally {
      run.waiting -= 1
      if (run.waiting === 0) {
        if (this.#open === run) this.#open = undefined
        // What is over needs no end, and to make the reason of one costs as much as a hash.
        if (!run.isOver) run.controller.abort()
      }
    }
  }
}

// Read anew each time: it changes while we wait.
function hasGone(signal: AbortSignal): boolean {
  return signal.aborted
}
