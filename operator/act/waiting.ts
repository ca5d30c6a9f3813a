/**
 * Waiting for an effect.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Looks again and again until something is there.
 *
 * @param look One look; an error counts as "not yet".
 * @param options `withinMs`: for how long. `everyMs`: time between two looks. `signal`: ends the wait.
 * @returns What was found; undefined when time was up.
 */
export async function until<T>(
  look: () => Promise<T | undefined>,
  options: { readonly withinMs: number; readonly everyMs?: number; readonly signal: AbortSignal },
): Promise<T | undefined> {
  const end = performance.now() + options.withinMs
  for (;;) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (performance.now() >= end || options.signal.aborted) return undefined
    await delay(options.everyMs ?? 250, undefined, { signal: options.signal }).catch(() => undefined)
  }
}
