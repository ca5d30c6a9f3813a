/**
 * What is left over of hosts that went away: registrar, verifier, SPIRE agents and entries, joined. Pure.
 *
 * @module
 */
import { DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import { registeredKeys } from '@tower-of-omens/keylime/evidence'
import type { SpireAgent, SpireEntry } from '@tower-of-omens/spire-api'
import type { Fleet, FleetHost } from '../fleet.ts'
import { orphanEntries, unmatchedAliases } from './orphans.ts'

/** Kinds of leftovers, in the order of the report, with what each means. */
export const RUBBISH_KINDS = {
  'registered-only': 'registered, enrolled nowhere, no SPIRE agent',
  'never-quoted': 'enrolled, and no quote ever passed',
  'half-enrolled': 'enrolled in state START and never polled: left by an enrolment that failed',
  'registration-lost': 'enrolled, and the registrar does not know it any more',
  terminated: 'being deleted by the verifier for ever (state 8)',
  'shared-ek': 'an ID of a TPM that has registered under another one since',
  'default-uuid': 'the ID that every agent without uuid claims',
  'expired-agent': 'a SPIRE agent whose SVID ended, of a host that Keylime does not know',
  'banned-agent': 'a banned SPIRE agent of a host that Keylime does not know; SPIRE never prunes those',
  'unenrolled-agent': 'a SPIRE agent of a host that no verifier watches',
  'orphan-entry': 'a registration entry under a parent that is no agent',
  'idle-alias': 'a node alias that no agent matches',
} as const

/** One of the kinds. */
export type RubbishKind = keyof typeof RUBBISH_KINDS

/** Where a leftover lies. */
export type RubbishPlace = 'registrar' | 'verifier' | 'spire-agent' | 'spire-entry'

/** One leftover. */
export interface Rubbish {
  readonly kind: RubbishKind
  /** Agent ID, SPIFFE ID, or the ID of an entry. */
  readonly id: string
  readonly name: string
  /** What would be deleted, in this order. */
  readonly places: readonly RubbishPlace[]
}

/** What is joined. */
export interface RubbishFacts {
  readonly fleet: Pick<Fleet, 'hosts' | 'spireAgents'>
  /** Agents with their selectors; empty: aliases are not judged. */
  readonly agents: readonly SpireAgent[]
  readonly entries: readonly SpireEntry[]
  readonly trustDomain: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Finds everything that is left over.
 *
 * @param facts The four sources; all must have answered.
 * @returns Each leftover once, under the first kind that fits; nothing of a host that attests.
 */
export function rubbishIn(facts: RubbishFacts): readonly Rubbish[] {
  const { fleet, entries, trustDomain, agents } = facts
  const stale = staleTwins(fleet.hosts)
  const hosts = fleet.hosts.flatMap((host) => rubbishOfHost(host, stale, facts))
  const orphans = orphanEntries(facts, entries).map((entry) => entryRubbish('orphan-entry', entry))
  const aliases = agents.length === 0 ? [] : unmatchedAliases(agents, entries, trustDomain)
  return [...hosts, ...orphans, ...aliases.map((entry) => entryRubbish('idle-alias', entry))]
}

function rubbishOfHost(host: FleetHost, stale: ReadonlySet<string>, { now }: RubbishFacts): readonly Rubbish[] {
  const kind = kindOf(host, stale, now)
  if (kind === undefined) return []
  const places: RubbishPlace[] = [
    ...(host.spire === undefined ? [] : (['spire-agent'] as const)),
    ...(host.record === undefined ? [] : (['verifier'] as const)),
    ...(host.registered === undefined ? [] : (['registrar'] as const)),
  ]
  return places.length === 0 ? [] : [{ kind, id: host.agentId, name: host.name, places }]
}

function kindOf(host: FleetHost, stale: ReadonlySet<string>, now: number): RubbishKind | undefined {
  const { record, registered, spire, standing } = host
  // A record that cannot be read says nothing about its host.
  if (standing === 'admitted' || host.broken !== undefined || host.isRegistrationBroken) return undefined
  if (host.agentId === DEFAULT_AGENT_UUID) return 'default-uuid'
  if (stale.has(host.agentId)) return 'shared-ek'
  if (record === undefined) return kindWithoutRecord(host, now)
  if (record.value.operationalState === 8) return 'terminated'
  if (registered === undefined) return 'registration-lost'
  const everPassed = (record.value.attestationCount ?? 0) > 0
  if (everPassed || spire !== undefined) return undefined
  return record.value.operationalState === 1 ? 'half-enrolled' : 'never-quoted'
}

function kindWithoutRecord({ registered, spire }: FleetHost, now: number): RubbishKind | undefined {
  if (spire === undefined) return registered === undefined ? undefined : 'registered-only'
  if (spire.banned) return registered === undefined ? 'banned-agent' : 'unenrolled-agent'
  if (spire.expiresAt * 1000 < now && registered === undefined) return 'expired-agent'
  return 'unenrolled-agent'
}

/**
 * Tells whether all that is left of a host is a SPIRE agent that can do nothing any more.
 *
 * @param host The host; registrar and verifier have answered.
 * @param now Milliseconds since the epoch.
 * @returns True for one that Keylime does not know, and whose agent is banned or has ended.
 */
export function isAgentAlone(
  { record, broken, registered, isRegistrationBroken, spire }: FleetHost,
  now: number,
): boolean {
  const isKnown = record !== undefined || broken !== undefined || registered !== undefined || isRegistrationBroken
  return !isKnown && spire !== undefined && (spire.banned || spire.expiresAt * 1000 < now)
}

// Of several IDs on one TPM all but one are stale: the one that passes stays, else the one that is its hash.
function staleTwins(hosts: readonly FleetHost[]): ReadonlySet<string> {
  const byEk = new Map<string, FleetHost[]>()
  for (const host of hosts) {
    const ek = host.registered?.ekTpm.toString('base64')
    if (ek !== undefined) byEk.set(ek, [...(byEk.get(ek) ?? []), host])
  }
  return new Set(
    [...byEk.values()]
      .filter((group) => group.length > 1)
      .flatMap((group) => {
        const stays = group.find(({ standing }) => standing === 'admitted') ?? group.find(isItsHash)
        return stays === undefined ? [] : group.filter((host) => host !== stays).map(({ agentId }) => agentId)
      }),
  )
}

function isItsHash({ registered, agentId }: FleetHost): boolean {
  try {
    return registered !== undefined && registeredKeys(registered).ekUuid === agentId
  } catch {
    return false
  }
}

/**
 * Makes the leftover of one entry.
 *
 * @param kind Why it goes.
 * @param entry The entry.
 * @returns The leftover.
 */
export function entryRubbish(kind: 'orphan-entry' | 'idle-alias', { id, spiffeId }: SpireEntry): Rubbish {
  return { kind, id, name: spiffeId, places: ['spire-entry'] }
}
