/**
 * The chain from the TPM to the SVID, link by link.
 *
 * @module
 */
import { attestationAge, describeStrength, entryOf, inWords } from '@tower-of-omens/gate'
import type { SpireAgent } from '@tower-of-omens/spire-api'
import type { Fleet, FleetHost } from '../fleet.ts'
import { shortLength } from '../render/lengths.ts'
import { valueOf } from '../sources/state.ts'
import type { StatusRow } from '../status/row.ts'
import { stateWords } from '../status/states.ts'
import type { AgentEntries } from './entries.ts'

/** How a link stands; `unmarked` comes after a broken one. */
export type LinkStanding = 'ok' | 'broken' | 'unknown' | 'unmarked'

/** One link. */
export interface ChainLink {
  readonly link: string
  readonly standing: LinkStanding
  /** Who said so. */
  readonly source: string
  /** When that was true, ISO 8601; null when the source gives no time. */
  readonly at: string | null
  readonly fact: string
  /** Codes of what is wrong. */
  readonly codes: readonly string[]
  readonly next: string | null
}

/** What the chain is made of. */
export interface ChainFacts {
  readonly host: FleetHost
  readonly row: StatusRow
  readonly failed: Fleet['failed']
  /** The agent with its selectors; undefined when SPIRE does not know it. */
  readonly agent: SpireAgent | undefined
  /** Undefined when they could not be asked for. */
  readonly entries: AgentEntries | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

type Bare = Omit<ChainLink, 'at' | 'codes' | 'next'> & Partial<Pick<ChainLink, 'at' | 'codes' | 'next'>>

/**
 * Makes the chain of a host.
 *
 * @param facts What every source said.
 * @returns The links in order; marking stops at the first broken one.
 */
export function chainOf(facts: ChainFacts): readonly ChainLink[] {
  const links = [
    registered(facts),
    reachable(facts),
    enrolled(facts),
    quoted(facts),
    gate(facts),
    spireAgent(facts),
    entries(facts),
    svid(facts),
  ]
  const broken = links.findIndex(({ standing }) => standing === 'broken')
  return links.map((link, index) => ({
    at: null,
    codes: [],
    next: null,
    ...link,
    ...(broken >= 0 && index > broken && { standing: 'unmarked' as const }),
  }))
}

function registered({ host, row, failed }: ChainFacts): Bare {
  const base = { link: 'TPM registered', source: 'keylime registrar' }
  if (host.registered === undefined) {
    return failed.registrar === undefined
      ? { ...base, standing: 'broken', fact: 'the registrar does not know the agent', next: 'start the Keylime agent' }
      : { ...base, standing: 'unknown', fact: failed.registrar }
  }
  const key = {
    match: 'agent ID is the hash of its endorsement key',
    mismatch: 'agent ID is the hash of ANOTHER endorsement key',
    unproved: 'agent ID says nothing of the TPM',
    unknown: 'its keys cannot be read',
  }[row.ek]
  const certificate = host.registered.mtlsCert === undefined ? 'no certificate: plain HTTP' : 'with a certificate'
  const codes = row.ek === 'mismatch' ? ['TK-KL-EK-MISMATCH'] : []
  return { ...base, standing: codes.length > 0 ? 'broken' : 'ok', fact: `${key}; ${certificate}`, codes }
}

// A host that we cannot reach and the verifier can is none the worse for it.
function reachable({ host, row, now }: ChainFacts): Bare {
  const base = { link: 'Keylime agent reachable', source: 'handshake from here', at: new Date(now).toISOString() }
  const seen = valueOf(host.certificate)
  if (seen !== undefined) {
    const life = `${Math.round(Math.max(0, seen.leftShare) * 100)} % of its certificate's life left`
    return seen.leftShare > 0
      ? { ...base, standing: 'ok', fact: `answers; ${life}` }
      : { ...base, standing: 'broken', fact: 'its certificate has ended', codes: ['TK-CERT-EXPIRED'], next: 'renew it' }
  }
  const why = 'failed' in host.certificate ? host.certificate.failed : ''
  const verifierReaches = row.verdict.standing === 'admitted'
  return verifierReaches
    ? { ...base, standing: 'unknown', fact: `not from here (${why}), but the verifier reaches it` }
    : { ...base, standing: 'broken', fact: why, codes: ['TK-KL-ABSENT'], next: 'start the Keylime agent on the host' }
}

function enrolled({ host, row, failed }: ChainFacts): Bare {
  const base = { link: 'enrolled', source: host.record?.verifier ?? 'keylime verifier' }
  if (host.record === undefined) {
    if (host.broken !== undefined) return { ...base, standing: 'broken', fact: host.broken }
    return failed.verifier === undefined
      ? { ...base, standing: 'broken', fact: 'no verifier knows it', codes: ['TK-KL-NOT-ENROLLED'], next: 'enrol it' }
      : { ...base, standing: 'unknown', fact: failed.verifier }
  }
  const fact = host.decision === undefined ? 'policy: ?' : describeStrength(host.decision.policy.strength)
  return { ...base, standing: 'ok', fact: `policy ${row.policy ?? '?'}: ${fact}`, at: answeredAt(host) }
}

function quoted({ host }: ChainFacts): Bare {
  const base = { link: 'quoted', source: host.record?.verifier ?? 'keylime verifier' }
  const record = host.record?.value
  if (record === undefined) return { ...base, standing: 'unknown', fact: 'no record' }
  const age = attestationAge(record)
  const last = age === undefined ? 'never succeeded' : `last success ${shortLength(age)} ago`
  const fact = `${stateWords(record.operationalState)}, ${record.attestationCount ?? 0} quotes passed, ${last}`
  const standing = age === undefined ? 'broken' : 'ok'
  return { ...base, standing, fact, at: answeredAt(host), codes: age === undefined ? ['TK-KL-PENDING'] : [] }
}

function gate({ host }: ChainFacts): Bare {
  const base = { link: 'gate', source: "the plugin's rule, run here", at: answeredAt(host) }
  const { decision } = host
  if (decision === undefined) return { ...base, standing: 'unknown', fact: 'nothing to judge' }
  if (decision.kind === 'admit') {
    const shadow = decision.shadowed.map(({ code }) => code)
    return {
      ...base,
      standing: 'ok',
      fact: shadow.length === 0 ? 'admits' : `admits, in shadow mode despite ${shadow.join(', ')}`,
    }
  }
  const [first] = decision.reasons
  return {
    ...base,
    standing: 'broken',
    fact: inWords(decision.reasons),
    codes: decision.reasons.map(({ code }) => code),
    next: entryOf(first.code).next,
  }
}

function spireAgent({ row, failed, agent }: ChainFacts): Bare {
  const base = { link: 'SPIRE agent', source: 'spire server' }
  switch (row.spire.standing) {
    case 'unknown':
      return { ...base, standing: 'unknown', fact: failed.spire ?? '' }
    case 'absent':
      return {
        ...base,
        standing: 'broken',
        fact: 'not attested',
        codes: ['TK-SPIRE-ABSENT'],
        next: 'look at the SPIRE agent on the host',
      }
    case 'banned':
      return {
        ...base,
        standing: 'broken',
        fact: 'banned',
        codes: ['TK-SPIRE-BANNED'],
        next: 'delete the banned agent once the host is healthy',
      }
    case 'expired':
      return {
        ...base,
        standing: 'broken',
        fact: 'its SVID has ended',
        codes: ['TK-SPIRE-EXPIRED'],
        next: 'look at the SPIRE agent on the host',
      }
    case 'attested':
    default:
      return {
        ...base,
        standing: 'ok',
        fact: `attested by ${agent?.attestationType ?? 'keylime'}, ${agent?.selectors.length ?? 0} selectors`,
      }
  }
}

function entries({ entries: found, failed }: ChainFacts): Bare {
  const base = { link: 'entries', source: 'spire server' }
  if (found === undefined) return { ...base, standing: 'unknown', fact: failed.spire ?? 'no agent to match' }
  if (found.matching.length > 0) {
    const ids = found.matching.map(({ spiffeId }) => spiffeId)
    return { ...base, standing: 'ok', fact: `${ids.length}: ${ids.slice(0, 5).join(', ')}` }
  }
  const [near] = found.near
  const hint = near === undefined ? '' : `; alias ${near.alias} needs ${near.missing.join(', ')}`
  return {
    ...base,
    standing: 'broken',
    fact: `no entry has this agent, or an alias of it, as parent${hint}`,
    next: 'create an entry under its ID',
  }
}

function svid({ row }: ChainFacts): Bare {
  const left = row.spire.svid_seconds_left
  const base = { link: 'SVID', source: 'spire server' }
  if (left === null) return { ...base, standing: 'unknown', fact: 'no SVID is known' }
  return { ...base, standing: left > 0 ? 'ok' : 'broken', fact: `the agent's own ends in ${shortLength(left)}` }
}

// By the verifier's own clock.
function answeredAt(host: FleetHost): string | null {
  const at = host.record?.value.receivedAt
  return at === undefined ? null : new Date(at * 1000).toISOString()
}
