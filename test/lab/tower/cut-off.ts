/**
 * How fast a tampered host loses its identity: three cut-offs, measured from the moment its PCR changed.
 *
 * Issuance: the SPIRE server mints nothing more for the host, since its agent is banned. Workload API: the host's own
 * agent serves no SVID any more. What the verifier had to do before the ban is in both.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { evictAgent, getAgent, SpireConnection } from '@tower-of-omens/spire-api'
import { pollUntil } from '../processes/poll.ts'
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

/** Tampers with a host, and measures until it has lost its identity. */
export async function measureCutOff(tower: Tower, host: TowerHost): Promise<CutOffRound> {
  const spire = new SpireConnection({ socketPath: tower.spire.socketPath })
  try {
    // Quotes come every two seconds: each round begins at another moment between two of them.
    await delay(Math.random() * 2_000)
    await tamper(host)
    const began = performance.now()
    const tamperedAt = Date.now()
    let lastEnd = tamperedAt
    const hasNone = async (): Promise<boolean> => {
      const svids = await host.spire.target.fetchX509().catch(() => [])
      for (const { certificate } of svids) lastEnd = Math.max(lastEnd, certificate.validToDate.getTime())
      return svids.length === 0
    }
    const [issuanceMs, workloadMs] = await Promise.all([
      until(began, 10, async () => (await getAgent(spire, host.spiffeId))?.banned !== false),
      until(began, 25, hasNone),
    ])
    return { issuanceMs, workloadMs, acceptanceMs: lastEnd - tamperedAt }
  } finally {
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
