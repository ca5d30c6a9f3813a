/**
 * One node attested again and again by its real spire-agent: its SVID is evicted as soon as it has one.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { evictAgent, getAgent, SpireConnection } from '@tower-of-omens/spire-api'
import { pollUntil } from '../processes/poll.ts'
import type { Rig } from './rig.ts'

/** How often an agent asks its server, and so notices that it was evicted. */
export const QUICK_SYNC = '50ms'

/** An agent that finds itself evicted at every question asks less and less often: it is left alone for a few of them. */
const REST_MS = 200

const ATTESTED = /"?Node attested"?.*?duration_ms=(\d+)/g

/**
 * Reads how long each admitted attestation took in the server half: from its payload to its SPIFFE ID, the node's own
 * work included.
 *
 * @returns Milliseconds, oldest first.
 */
export function attestationTimes(rig: Rig): readonly number[] {
  return [...rig.spireServer.readLog().matchAll(ATTESTED)].map(([, ms]) => Number(ms))
}

/**
 * Has a running agent, with {@link QUICK_SYNC}, attest anew.
 *
 * @param rig Attested.
 * @param rounds How many times.
 * @returns Milliseconds of each round in the server half.
 * @throws {RigError} One did not end with an SVID within 30 s.
 */
export async function reattest(rig: Rig, rounds: number): Promise<readonly number[]> {
  const spire = new SpireConnection({ socketPath: rig.spireServer.socketPath })
  const already = attestationTimes(rig).length
  try {
    for (let round = 1; round <= rounds; round += 1) {
      await delay(REST_MS)
      await evictAgent(spire, rig.spiffeId)
      const again = async (): Promise<boolean> => (await getAgent(spire, rig.spiffeId)) !== undefined
      await pollUntil(`attestation ${round} of ${rounds}`, again, { intervalMs: 20 })
    }
    // A plugin's lines come to SPIRE's log on a way of their own.
    const logged = (): boolean => attestationTimes(rig).length >= already + rounds
    await pollUntil('the log of every attestation', logged)
  } finally {
    spire.close()
  }
  return attestationTimes(rig).slice(already)
}
