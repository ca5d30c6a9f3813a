/**
 * One time limit over a whole attestation, beside the stream's own signal.
 *
 * @module
 */

/** Is a limit in force; `signal` aborts when it passes or when the caller goes, whichever is first. */
export interface Deadline {
  readonly signal: AbortSignal
  /** True once the limit itself has passed. */
  readonly passed: boolean
}

/** Tells that a limit has passed; the reason of the aborted signal. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed'
}

/** Tells that the caller has gone; the reason of the aborted signal. */
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
 * @param signal Ends the wait.
 * @param promise What to wait for; goes on by itself when the signal ends the wait.
 * @returns Its value.
 * @throws {Error} The signal's reason, or whatever the promise rejects with.
 */
export function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(abortReason(signal))
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
 * @throws {Error} The signal's reason.
 */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(abortReason(signal))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
