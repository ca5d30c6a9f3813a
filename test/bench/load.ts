/**
 * Keeps a number of attestations in flight and times each one.
 *
 * @module
 */
import { cpuSeconds, memoryOf } from './process-cost.ts'
import { percentile } from './statistics.ts'

/** What one level of load gave. */
export interface LoadResult {
  readonly inFlight: number
  readonly attestations: number
  /** Attestations that failed, by what the host saw. */
  readonly failures: Readonly<Record<string, number>>
  readonly seconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of the plugin per attestation. */
  readonly cpuMs: number
  readonly rssBeforeMb: number
  readonly rssAfterMb: number
}

/** How much to load. */
export interface LoadOrder {
  readonly inFlight: number
  /** Ends after this many attestations, whichever comes first. */
  readonly attestations: number
  /** Starts no attestation after this many seconds. */
  readonly seconds?: number
}

/**
 * Loads a plugin.
 *
 * @param attest Does the n-th attestation; rejects when it fails.
 * @returns Rates and latencies of the attestations that succeeded.
 */
export async function load(
  plugin: { readonly pid: number },
  order: LoadOrder,
  attest: (index: number) => Promise<unknown>,
): Promise<LoadResult> {
  const latencies: number[] = []
  const failures: Record<string, number> = {}
  const before = { cpu: cpuSeconds(plugin.pid), rss: memoryOf(plugin.pid).rssMb }
  const startedAt = performance.now()
  const endsAt = startedAt + (order.seconds ?? Number.POSITIVE_INFINITY) * 1000
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < order.attestations && performance.now() < endsAt) {
      const index = next
      next += 1
      const started = performance.now()
      try {
        // A lane is one attestation at a time; the lanes run side by side.
        // oxlint-disable-next-line no-await-in-loop
        await attest(index)
        latencies.push(performance.now() - started)
      } catch (error) {
        const seen = kindOf(error)
        failures[seen] = (failures[seen] ?? 0) + 1
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(order.inFlight, order.attestations) }, lane))
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = cpuSeconds(plugin.pid) - before.cpu
  return {
    inFlight: order.inFlight,
    attestations: latencies.length,
    failures,
    seconds,
    perSecond: latencies.length / seconds,
    p50Ms: percentile(latencies, 50),
    p90Ms: percentile(latencies, 90),
    p99Ms: percentile(latencies, 99),
    maxMs: percentile(latencies, 100),
    cpuMs: latencies.length === 0 ? 0 : (cpu * 1000) / latencies.length,
    rssBeforeMb: before.rss,
    rssAfterMb: memoryOf(plugin.pid).rssMb,
  }
}

/** A failure without the agent ID in it, so that the same failure of many nodes counts as one kind. */
function kindOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replaceAll(/[0-9a-f]{16,}/g, '<id>').slice(0, 160)
}
