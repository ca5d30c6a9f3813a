/**
 * How fast a tampered host loses its identity: three cut-offs, measured from the moment its PCR changed.
 *
 * Issuance: the SPIRE server mints nothing more for the host, since its agent is banned. Workload API: the stream of a
 * workload of the host breaks, and asking anew gives nothing. What the verifier had to do before the ban is in both.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { evictAgent, getAgent, SpireConnection } from '@tower-of-omens/spire-api'
import { pollUntil } from '../processes/poll.ts'
import { WorkloadStream } from '../services/workload-stream.ts'
import { rebootAndHeal, tamper } from './actions.ts'
import type { TowerHost } from './host.ts'
import type { Tower } from './tower.ts'

/** One round, in milliseconds from the change of the PCR. */
export interface CutOffRound {
  readonly issuanceMs: number
  readonly workloadMs: number
  /** Until the last SVID that the workload was given ends: so long a peer accepts it. */
  readonly acceptanceMs: number
}

/** Longest wait for a cut-off. */
const LIMIT_MS = 120_000

/** Time between two looks at the server's record of the agent. */
const LOOK_EVERY_MS = 5

/** Tampers with a host, and measures until it has lost its identity. */
export async function measureCutOff(tower: Tower, host: TowerHost): Promise<CutOffRound> {
  const spire = new SpireConnection({ socketPath: tower.spire.socketPath })
  const workload = new WorkloadStream(host.spire.target.socketPath)
  try {
    await within(workload.first)
    await getAgent(spire, host.spiffeId)
    // Quotes come every two seconds: each round begins at another moment between two of them.
    await delay(Math.random() * 2_000)
    await tamper(host)
    const began = performance.now()
    const tamperedAt = Date.now()
    const [issuanceMs, goneAt] = await Promise.all([
      until(began, LOOK_EVERY_MS, async () => (await getAgent(spire, host.spiffeId))?.banned !== false),
      within(workload.gone),
    ])
    return { issuanceMs, workloadMs: goneAt - began, acceptanceMs: workload.lastEnd - tamperedAt }
  } finally {
    workload.close()
    spire.close()
  }
}

/** Makes a host whole again: booted in good order, its ban lifted, attested. */
export async function restoreHost(tower: Tower, host: TowerHost): Promise<void> {
  await rebootAndHeal(tower, host)
  const spire = new SpireConnection({ socketPath: tower.spire.socketPath })
  try {
    await evictAgent(spire, host.spiffeId)
  } finally {
    spire.close()
  }
  await pollUntil(
    `a workload of ${host.name} to get its SVID`,
    async () => (await host.spire.target.fetchX509()).length > 0,
    {
      deadlineMs: 120_000,
      intervalMs: 100,
    },
  )
}

async function until(began: number, everyMs: number, test: () => Promise<boolean>): Promise<number> {
  while (performance.now() - began < LIMIT_MS) {
    if (await test()) return performance.now() - began
    await delay(everyMs)
  }
  throw new Error(`not cut off within ${LIMIT_MS} ms`)
}

async function within<T>(awaited: Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(LIMIT_MS)
  const { promise, reject } = Promise.withResolvers<never>()
  late.addEventListener('abort', () => reject(new Error(`nothing within ${LIMIT_MS} ms`)), { once: true })
  return Promise.race([awaited, promise])
}
