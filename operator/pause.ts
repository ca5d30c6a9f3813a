/**
 * Sleeping, until it is over or somebody wants an end.
 *
 * @module
 */

/**
 * Sleeps a while.
 *
 * @param ms Milliseconds.
 * @param signal Ends the sleep.
 * @returns False when the signal has aborted.
 */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false)
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      resolve(true)
    }, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
