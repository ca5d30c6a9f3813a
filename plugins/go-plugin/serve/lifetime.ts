/**
 * The end of a plugin, in order and in time: a host kills what has not ended within two seconds.
 *
 * @module
 */
import { describeError, type HclogLogger } from '../log/hclog.ts'

/** The one shutdown of a plugin, however often it is asked for. */
export interface Lifetime {
  /** Resolves when everything has ended. */
  readonly closed: Promise<void>
  /** Adds something to end; the last added ends first. */
  readonly whenClosed: (action: () => void) => void
  /** Ends everything. Never rejects. */
  readonly shutdown: () => Promise<void>
}

/** Half of what the host waits before it kills. */
const HOOK_LIMIT_MS = 1000
/** The answer to Shutdown leaves before its connection does. */
const ANSWER_MS = 20

/**
 * Makes the lifetime of a plugin that has just started.
 *
 * @param onShutdown The plugin author's own ending; given a second.
 * @param log Told when that ending fails or takes too long.
 * @returns The lifetime.
 */
export function newLifetime(onShutdown: (() => Promise<void>) | undefined, log: HclogLogger): Lifetime {
  const actions: (() => void)[] = []
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  let begun = false
  const shutdown = async (): Promise<void> => {
    if (begun) return closed
    begun = true
    await Promise.all([delay(ANSWER_MS), runHook(onShutdown, log)])
    for (const action of actions.toReversed()) runAction(action, log)
    resolve()
    return closed
  }
  return { closed, whenClosed: (action) => void actions.push(action), shutdown }
}

async function runHook(hook: (() => Promise<void>) | undefined, log: HclogLogger): Promise<void> {
  if (hook === undefined) return
  const limit = delay(HOOK_LIMIT_MS).then(() => 'late' as const)
  try {
    const outcome = await Promise.race([hook(), limit])
    if (outcome === 'late') log.warn('Shutdown goes on without waiting for the plugin', { waited_ms: HOOK_LIMIT_MS })
  } catch (error) {
    log.error('Shutdown of the plugin failed', { error: describeError(error) })
  }
}

function runAction(action: () => void, log: HclogLogger): void {
  try {
    action()
  } catch (error) {
    log.error('Shutdown left something behind', { error: describeError(error) })
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
