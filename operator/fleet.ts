/**
 * The fleet: every host that Keylime or SPIRE knows, joined by agent ID, with what each source said of it.
 *
 * @module
 */
import type { Judgement } from '@tower-of-omens/gate'
import { type AgentId, isAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord, Registration } from '@tower-of-omens/keylime/api'
import { listAgents, type SpireAgent, type SpireConnection } from '@tower-of-omens/spire-api'
import { judgeAsPlugin, type Standing, standingOf } from './judgement.ts'
import type { Services } from './site/services.ts'
import { mapAtMost } from './sources/at-most.ts'
import { certificateFromPem, presentedCertificate, type SeenCertificate } from './sources/certificates.ts'
import type { KeylimeSources } from './sources/keylime.ts'
import { type Answer, settled, valueOf } from './sources/state.ts'

/** One host. */
export interface FleetHost {
  readonly agentId: AgentId
  /** From the configuration, its certificate, or its address. */
  readonly name: string
  readonly spiffeId: string
  /** Undefined: the registrar does not know it, or could not be asked. */
  readonly registered: Registration | undefined
  /** The registrar knows it, and its record cannot be read. */
  readonly isRegistrationBroken: boolean
  /** What a verifier says; undefined: none knows it, or none could be asked. */
  readonly record: { readonly verifier: string; readonly value: AgentRecord } | undefined
  /** A record that cannot be read. */
  readonly broken: string | undefined
  readonly decision: Judgement | undefined
  readonly standing: Standing | undefined
  readonly spire: SpireAgent | undefined
  /** The certificate that its Keylime agent presents now, or why none was seen. */
  readonly certificate: Answer<SeenCertificate>
}

/** The sources by name, with why one could not be asked. */
export interface SourceStates {
  readonly registrar: string | undefined
  readonly verifier: string | undefined
  readonly spire: string | undefined
}

/** Everything at one moment. */
export interface Fleet {
  readonly hosts: readonly FleetHost[]
  /** Undefined where the source answered. */
  readonly failed: SourceStates
  /** Every SPIRE agent, also those of other attestors. */
  readonly spireAgents: readonly SpireAgent[]
}

/**
 * Lists the sources that could not be asked.
 *
 * @param fleet Which sources answered.
 * @returns Each with the reason.
 */
export function failedSources({
  failed,
}: Pick<Fleet, 'failed'>): readonly { readonly what: string; readonly why: string }[] {
  const names = ['registrar', 'verifier', 'spire'] as const
  return names.flatMap((what) => {
    const why = failed[what]
    return why === undefined ? [] : [{ what, why }]
  })
}

/** What is asked. */
export interface FleetSources {
  readonly services: Services
  /** Undefined with the reason in `keylimeFailed`. */
  readonly keylime: KeylimeSources | undefined
  readonly keylimeFailed?: string | undefined
  readonly spire: readonly SpireConnection[]
  readonly trustDomain: string
}

/** Requests to the registrar at a time, which answers one at a time anyway. */
const REGISTRAR_AT_ONCE = 8
/** Handshakes at a time. */
const HANDSHAKES_AT_ONCE = 64
/** Longest handshake: one host that hangs must not hold up the table. */
const HANDSHAKE_MS = 5_000

/**
 * Asks every source about every host.
 *
 * @param sources What to ask.
 * @param signal Ends the questions.
 * @param now Milliseconds since the epoch.
 * @returns The fleet; a source that fails leaves gaps, and its reason.
 */
export async function gatherFleet(sources: FleetSources, signal: AbortSignal, now = Date.now()): Promise<Fleet> {
  const [records, registered, spire] = await Promise.all([
    askVerifiers(sources, signal),
    askRegistrars(sources, signal),
    askSpire(sources, signal),
  ])
  const agents = valueOf(spire) ?? []
  const prefix = agentPrefix(sources)
  const bySpiffeId = new Map(agents.map((agent) => [agent.id, agent]))
  const fromSpire = agents.filter(({ id }) => id.startsWith(prefix)).map(({ id }) => id.slice(prefix.length))
  const known = valueOf(records)
  const ids = new Set([
    ...(valueOf(registered)?.keys() ?? []),
    ...(known?.keys() ?? []),
    ...fromSpire.filter(isAgentId),
  ])
  const bare = [...ids].map((agentId) => {
    const found = known?.get(agentId)
    const value = found !== undefined && 'value' in found.record ? found.record.value : undefined
    const decision = value === undefined ? undefined : judgeAsPlugin(value, sources.services.plugin.value)
    return {
      agentId,
      spiffeId: `${prefix}${agentId}`,
      registered: valueOf(registered)?.get(agentId),
      isRegistrationBroken:
        valueOf(registered)?.has(agentId) === true && valueOf(registered)?.get(agentId) === undefined,
      record: found === undefined || value === undefined ? undefined : { verifier: found.verifier, value },
      broken: found !== undefined && 'failed' in found.record ? found.record.failed : undefined,
      decision,
      standing: decision === undefined ? undefined : standingOf(decision),
      spire: bySpiffeId.get(`${prefix}${agentId}`),
    }
  })
  const hosts = await mapAtMost(bare, HANDSHAKES_AT_ONCE, async (host) => {
    const certificate = await settled(certificateOf(host, signal, now))
    return { ...host, certificate, name: nameOf(host, certificate, sources.services, now) }
  })
  return {
    hosts: hosts.toSorted((a, b) => a.name.localeCompare(b.name) || a.agentId.localeCompare(b.agentId)),
    failed: { registrar: failure(registered), verifier: failure(records), spire: failure(spire) },
    spireAgents: agents,
  }
}

/**
 * Writes the beginning of the SPIFFE IDs of our attestor's agents.
 *
 * @param sources Trust domain and the attestor's name.
 * @returns Such as `spiffe://example.org/spire/agent/keylime/`.
 */
export function agentPrefix({ services, trustDomain }: Pick<FleetSources, 'services' | 'trustDomain'>): string {
  return `spiffe://${trustDomain}/spire/agent/${services.attestor}/`
}

/**
 * Finds the hosts that a word names.
 *
 * @param hosts All hosts.
 * @param word Name, short name, agent ID or its beginning (at least 6 characters), or SPIFFE ID.
 * @returns The one whose ID it is, else every one that fits: a host chooses its own name, and must not take what is meant
 *   for another.
 */
export function hostsNamed<T extends Pick<FleetHost, 'name' | 'agentId' | 'spiffeId'>>(
  hosts: readonly T[],
  word: string,
): readonly T[] {
  const exact = hosts.filter(({ agentId, spiffeId }) => agentId === word || spiffeId === word)
  if (exact.length > 0) return exact
  return hosts.filter(
    ({ name, agentId }) =>
      name === word || name.split('.')[0] === word || (word.length >= 6 && agentId.startsWith(word)),
  )
}

/**
 * Finds the hosts that an order may be meant for.
 *
 * Registration is open, and what was registered once stays: a name that is also borne by an ID that nobody enrolled means
 * the host that somebody did enrol, or at least admitted.
 *
 * @param hosts All hosts.
 * @param word As for {@link hostsNamed}.
 * @returns Those that fit and are enrolled; where there are none, those that SPIRE knows; else all that fit.
 */
export function hostsMeant(hosts: readonly FleetHost[], word: string): readonly FleetHost[] {
  const named = hostsNamed(hosts, word)
  const enrolled = named.filter(({ record, broken }) => record !== undefined || broken !== undefined)
  if (enrolled.length > 0) return enrolled
  const admitted = named.filter(({ spire }) => spire !== undefined)
  return admitted.length > 0 ? admitted : named
}

interface Found {
  readonly verifier: string
  readonly record: { readonly value: AgentRecord } | { readonly failed: string }
}

// All must answer: a host that only the silent one knows would else look like one that nobody knows.
async function askVerifiers(
  { keylime, keylimeFailed }: FleetSources,
  signal: AbortSignal,
): Promise<Answer<ReadonlyMap<AgentId, Found>>> {
  if (keylime === undefined) return { failed: keylimeFailed ?? 'not configured' }
  const answers = await Promise.all(
    keylime.verifiers.map(async (verifier) => ({ verifier, answer: await settled(verifier.getAgents({ signal })) })),
  )
  const found = new Map<AgentId, Found>()
  for (const { verifier, answer } of answers) {
    if ('failed' in answer) return answer
    for (const agentId of answer.value.agentIds) {
      try {
        const value = answer.value.get(agentId)
        if (value !== undefined) found.set(agentId, { verifier: verifier.name, record: { value } })
      } catch (error) {
        const failed = error instanceof Error ? error.message : String(error)
        found.set(agentId, { verifier: verifier.name, record: { failed } })
      }
    }
  }
  return { value: found }
}

async function askRegistrars(
  { keylime, keylimeFailed }: FleetSources,
  signal: AbortSignal,
): Promise<Answer<ReadonlyMap<AgentId, Registration | undefined>>> {
  if (keylime === undefined) return { failed: keylimeFailed ?? 'not configured' }
  return settled(
    (async () => {
      const found = new Map<AgentId, Registration | undefined>()
      for (const registrar of keylime.registrars) {
        const ids = await registrar.getAgentIds({ signal })
        const records = await mapAtMost(ids, REGISTRAR_AT_ONCE, async (agentId) => ({
          agentId,
          // One record that cannot be read must not hide the others.
          record: valueOf(await settled(registrar.getRegistration(agentId, { signal }))),
        }))
        for (const { agentId, record } of records) found.set(agentId, found.get(agentId) ?? record)
      }
      return found
    })(),
  )
}

// Several servers share one trust domain: an agent counts as attested where any has it, as banned where any bans it.
async function askSpire({ spire }: FleetSources, signal: AbortSignal): Promise<Answer<readonly SpireAgent[]>> {
  const answers = await Promise.all(spire.map((connection) => settled(listAgents(connection, { signal }))))
  const found = new Map<string, SpireAgent>()
  for (const answer of answers) {
    if ('failed' in answer) return answer
    for (const agent of answer.value) {
      const known = found.get(agent.id)
      if (known === undefined || agent.banned || (!known.banned && agent.expiresAt > known.expiresAt)) {
        found.set(agent.id, agent)
      }
    }
  }
  return { value: [...found.values()] }
}

/** What certificates say that Keylime's agents and its own CA make for themselves. */
const NOBODYS_NAMES: ReadonlySet<string> = new Set(['localhost', 'localhost.domain', 'server', 'client'])

/**
 * What a host may be called by words of its own, or of whoever registered in its name: they go to terminals, to shells that
 * complete them, into file names and pages.
 */
const HOST_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?$/

type Bare = Omit<FleetHost, 'name' | 'certificate'>

// Where the verifier polls it, else where it registered from.
async function certificateOf({ record, registered }: Bare, signal: AbortSignal, now: number): Promise<SeenCertificate> {
  const host = record?.value.ip ?? registered?.ip
  const port = record?.value.port ?? registered?.port
  if (host === undefined || port === undefined) throw new Error('no address is known')
  return presentedCertificate({ host, port }, { timeoutMs: HANDSHAKE_MS, signal, now })
}

function nameOf(
  { agentId, registered, record }: Bare,
  certificate: Answer<SeenCertificate>,
  services: Services,
  now: number,
): string {
  const pem = registered?.mtlsCert
  const known = valueOf(certificate) ?? (pem === undefined ? undefined : certificateFromPem(pem, now))
  const fromCertificate = known?.names.find((name) => HOST_NAME.test(name) && !NOBODYS_NAMES.has(name))
  const address = [record?.value.ip, registered?.ip].find((ip) => ip !== undefined && HOST_NAME.test(ip))
  return services.hostNames.get(agentId) ?? fromCertificate ?? address ?? agentId
}

function failure(answer: Answer<unknown>): string | undefined {
  return 'failed' in answer ? answer.failed : undefined
}
