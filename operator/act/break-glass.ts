/**
 * The rotation of SPIRE's own authority, after which nothing that the old one signed is accepted by a peer that follows
 * its bundle.
 *
 * Prepare and activate first, everywhere: the next authority must be in every bundle before anything is signed with it,
 * and every agent must have left the old one before it goes.
 *
 * @see spiffe/spire ef8527ec9, pkg/server/api/localauthority/v1/service.go
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  activateAuthority,
  authorityStates,
  prepareAuthority,
  revokeAuthority,
  type SpireConnection,
  taintAuthority,
} from '@tower-of-omens/spire-api'
import type { Step } from '../plan/step.ts'
import { settled } from '../sources/state.ts'
import { refusedBecause } from './preconditions.ts'

/** Authorities of one server while they are rotated. */
interface Rotation {
  old: string
  next: string
}

/**
 * Plans the rotation at every server.
 *
 * @param connections The servers: each has an authority of its own.
 * @param settleMs Time for every agent to fetch a changed bundle.
 * @returns The steps. Up to the taint nothing is lost when one fails; after it they only go forward.
 */
export function breakGlassSteps(connections: readonly SpireConnection[], settleMs: number): readonly Step[] {
  const rotations = new Map<SpireConnection, Rotation>()
  const each = async (work: (connection: SpireConnection, rotation: Rotation) => Promise<unknown>): Promise<void> => {
    for (const connection of connections) await work(connection, rotations.get(connection) ?? { old: '', next: '' })
  }
  return [
    {
      id: 'prepare',
      title: 'prepare the next authority at every server, after one that signs no more is taken out',
      act: async (signal) => {
        for (const connection of connections) {
          await retire(connection, settleMs, signal)
          rotations.set(connection, await prepared(connection, signal))
        }
        return { authorities: [...rotations.values()].map(({ next }) => next).join(' ') }
      },
    },
    settleStep('bundle', 'wait until every agent has a bundle with both authorities', settleMs),
    {
      id: 'activate',
      title: 'sign with the next authority from now on',
      act: async (signal) => {
        await each((connection, { next }) => activateAuthority(connection, next, { signal }))
        return {}
      },
    },
    {
      id: 'taint',
      title: 'taint the old authority: every agent attests anew and renews what it serves',
      act: async (signal) => {
        await each((connection, { old }) => taintAuthority(connection, old, { signal }))
        return { tainted: [...rotations.values()].map(({ old }) => old).join(' ') }
      },
    },
    settleStep('renewal', 'wait until every agent and workload has an SVID of the next one', settleMs),
    {
      id: 'revoke',
      title: 'take the old authority out of the bundle: what it signed is refused',
      act: async (signal) => {
        await each((connection, { old }) => revokeAuthority(connection, old, { signal }))
        return { revoked: [...rotations.values()].map(({ old }) => old).join(' ') }
      },
    },
  ]
}

function settleStep(id: string, title: string, settleMs: number): Step {
  return {
    id: `settle-${id}`,
    title: `${title} (${settleMs / 1000} s)`,
    act: async (signal) => {
      await delay(settleMs, undefined, { signal })
      return {}
    },
  }
}

// The server has two places: the next authority takes that of the one before, which nobody could take out of the bundle
// then. Such a one is there for a while after each rotation, and after a run of ours that stopped half way.
async function retire(connection: SpireConnection, settleMs: number, signal: AbortSignal): Promise<void> {
  const { old, active } = await authorityStates(connection, { signal })
  if (old === undefined || active?.upstreamId !== '') return
  // A run that stopped may have tainted it, which cannot be done twice.
  const tainted = await settled(taintAuthority(connection, old.id, { signal }))
  await delay(settleMs, undefined, { signal })
  try {
    await revokeAuthority(connection, old.id, { signal })
  } catch (error) {
    throw 'failed' in tainted ? new Error(tainted.failed, { cause: error }) : error
  }
}

async function prepared(connection: SpireConnection, signal: AbortSignal): Promise<Rotation> {
  const { active, prepared: waiting } = await authorityStates(connection, { signal })
  if (active === undefined) throw refusedBecause(`${connection.name} names no active authority`)
  if (active.upstreamId !== '') {
    throw refusedBecause(
      `${connection.name} gets its authority from an upstream CA (${active.upstreamId}): rotate that one there, spire-server localauthority x509 taintUpstream`,
    )
  }
  const next = waiting ?? (await prepareAuthority(connection, { signal }))
  return { old: active.id, next: next.id }
}
