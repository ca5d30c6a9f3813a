/**
 * Waiting that a signal ends, and time limits that are signals.
 *
 * @module
 */

/** A limit in force; `signal` aborts when it passes or when the caller goes, whichever is first. */
export interface Deadline {
  readonly signal: AbortSignal
  /** True once the limit itself has passed. */
  readonly passed: boolean
}

/** The reason of a signal aborted because a limit has passed. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed'
}

/** The reason of a signal aborted because the caller has gone. */
export class CallerGone extends Error {
  override readonly name = 'CallerGone'
}

/**
 * Runs work under a time limit. No timer and no listener stays behind, as `AbortSignal.timeout` and `any` would leave.
 *
 * @param caller The stream's signal.
 * @param limitMs Milliseconds from now.
 * @param work Gets the deadline; has to look at its signal.
 * @returns What the work returns.
 */
export async function withDeadline<T>(
  caller: AbortSignal,
  limitMs: number,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  let passed = false
  const gone = (): void => controller.abort(new CallerGone('the caller has gone'))
  const timer = setTimeout(() => {
    passed = true
    controller.abort(new DeadlinePassed(`not done within ${String(limitMs)} ms`))
  }, limitMs)
  if (caller.aborted) gone()
  else caller.addEventListener('abort', gone, { once: true })
  const deadline: Deadline = {
    signal: controller.signal,
    get passed() {
      return passed
    },
  }
  try {
    return await work(deadline)
  } finally {
    clearTimeout(timer)
    caller.removeEventListener('abort', gone)
  }
}

/**
 * Reads why a signal was aborted.
 *
 * @param signal An aborted signal.
 * @returns Its reason, as an error.
 */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error ? reason : new CallerGone('the signal was aborted')
}

/**
 * Waits for something that knows no signal, no longer than a signal lives.
 *
 * @param signal Ends the wait; undefined: nothing does.
 * @param promise What to wait for; goes on by itself when the signal ends the wait.
 * @param why Makes the error when the signal ends the wait; default: the signal's reason.
 * @returns Its value.
 * @throws {Error} What `why` makes, or whatever the promise rejects with.
 */
export function untilAborted<T>(
  signal: AbortSignal | undefined,
  promise: Promise<T>,
  why: (signal: AbortSignal) => Error = abortReason,
): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(why(signal))
    if (signal.aborted) {
      promise.catch(() => undefined)
      abort()
      return
    }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/**
 * Sleeps, and wakes early when a signal aborts.
 *
 * @param ms Milliseconds.
 * @param signal Ends the sleep.
 * @param why Makes the error when the signal ends the sleep; default: the signal's reason.
 * @throws {Error} What `why` makes.
 */
export function sleep(
  ms: number,
  signal: AbortSignal,
  why: (signal: AbortSignal) => Error = abortReason,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(why(signal))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
