/**
 * How long Keylime's verifier goes on asking a host that does not answer.
 *
 * @see keylime 9b1f6e6a, keylime/common/retry.py and keylime/cloud_verifier_tornado.py, `invoke_get_quote`
 * @module
 */
import type { KeylimeConf } from './keylime-conf.ts'

/** That of Keylime's own defaults, for a verifier whose configuration is not on this machine. */
export const DEFAULT_BUDGET_S = 62

/**
 * Computes it from the verifier's configuration.
 *
 * @param verifier Its configuration.
 * @returns Seconds from the first quote that fails to state 7; undefined without a configuration.
 */
export function retryBudgetSeconds(verifier: KeylimeConf | undefined): number | undefined {
  if (verifier === undefined) return undefined
  const number = (key: string, fallback: number): number => {
    const value = Number(verifier.text(key)?.value ?? fallback)
    return Number.isFinite(value) && value >= 0 ? value : fallback
  }
  const retries = number('max_retries', 5)
  const interval = number('retry_interval', 2)
  const backs = verifier.text('exponential_backoff')?.value ?? 'True'
  if (!/^(true|1|yes|on)$/i.test(backs)) return retries * interval
  let sum = 0
  for (let attempt = 0; attempt < Math.min(retries, 30); attempt += 1) sum += interval ** (attempt + 1)
  return sum
}
