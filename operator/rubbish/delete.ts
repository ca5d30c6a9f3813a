/**
 * The deletion of leftovers.
 *
 * @module
 */
import { isAgentId, isKeylimeError } from '@tower-of-omens/keylime'
import { unenrol } from '@tower-of-omens/keylime/admin'
import { deleteEntries, evictAgent, type SpireConnection, type SpireEntry } from '@tower-of-omens/spire-api'
import type { FleetHost } from '../fleet.ts'
import type { Step } from '../plan/step.ts'
import type { KeylimeAdminSources, VerifierPair } from '../sources/admin.ts'
import type { Rubbish, RubbishPlace } from './kinds.ts'
import type { UndoFile } from './undo-file.ts'

/** What deletion needs. */
export interface Deleting {
  readonly hosts: readonly FleetHost[]
  readonly entries: readonly SpireEntry[]
  readonly keylime: KeylimeAdminSources
  readonly spire: readonly SpireConnection[]
}

/** gRPC status of an entry that is gone already. */
const NOT_FOUND = 5
/** How long a verifier may take to stop polling an agent. */
const UNENROL_MS = 60_000

/**
 * Exports what will be deleted.
 *
 * @param found The leftovers.
 * @param deleting Where they lie.
 * @param signal The caller's.
 * @returns The undo file's content.
 */
export async function exported(found: readonly Rubbish[], deleting: Deleting, signal: AbortSignal): Promise<UndoFile> {
  const has = (place: RubbishPlace): readonly Rubbish[] => found.filter(({ places }) => places.includes(place))
  const hostOf = ({ id }: Rubbish): FleetHost | undefined => deleting.hosts.find(({ agentId }) => agentId === id)
  const enrolments = await Promise.all(has('verifier').map((one) => enrolmentOf(one.id, hostOf(one), deleting, signal)))
  const ids = new Set(has('spire-entry').map(({ id }) => id))
  return {
    schema: 'towerkeep/gc-undo/v1',
    at: new Date().toISOString(),
    entries: deleting.entries.filter(({ id }) => ids.has(id)).map(specOf),
    enrolments,
    registrations: has('registrar').map(({ id }) => id),
    agents: has('spire-agent').flatMap((one) => hostOf(one)?.spiffeId ?? []),
  }
}

async function enrolmentOf(
  agentId: string,
  host: FleetHost | undefined,
  deleting: Deleting,
  signal: AbortSignal,
): Promise<UndoFile['enrolments'][number]> {
  const { registered } = host ?? {}
  const record = host?.record?.value
  const own = (kind: PolicyKind): Promise<string | undefined> => ownPolicy(kind, agentId, deleting, signal)
  const runtimePolicy = record?.hasRuntimePolicy === true ? await own('runtimePolicies') : undefined
  const measuredBootPolicy = record?.hasMbRefstate === true ? await own('measuredBootPolicies') : undefined
  const lacks = [
    ...(record === undefined ? ['TPM policy'] : []),
    ...(record?.hasRuntimePolicy === true && runtimePolicy === undefined ? ['runtime policy'] : []),
    ...(record?.hasMbRefstate === true && measuredBootPolicy === undefined ? ['measured-boot policy'] : []),
  ]
  return {
    agentId,
    ...(registered !== undefined && {
      registration: {
        ekTpm: registered.ekTpm.toString('base64'),
        akTpm: registered.akTpm.toString('base64'),
        ...(registered.mtlsCert !== undefined && { mtlsCert: registered.mtlsCert }),
      },
    }),
    ...(record?.ip !== undefined && { ip: record.ip }),
    ...(record?.port !== undefined && { port: record.port }),
    tpmPolicy: record?.tpmPolicy ?? '{}',
    ...(runtimePolicy !== undefined && { runtimePolicy }),
    ...(measuredBootPolicy !== undefined && { measuredBootPolicy }),
    lacks,
  }
}

type PolicyKind = 'runtimePolicies' | 'measuredBootPolicies'

// The verifier keeps an agent's own policies under the agent's ID; one that was enrolled by name is not found so.
async function ownPolicy(
  kind: PolicyKind,
  id: string,
  { keylime }: Deleting,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const { admin } of keylime.verifiers) {
    const found = await admin[kind].get(id, { signal }).catch(() => undefined)
    if (found !== undefined) return found.text
  }
  return undefined
}

/** Order of the places: a host whose agents run attests again until no verifier vouches for it. */
const PLACES: readonly RubbishPlace[] = ['spire-entry', 'verifier', 'spire-agent', 'registrar']

/**
 * Plans the deletion of one leftover, place by place: the verifier first, so that nothing attests while it goes.
 *
 * @param one The leftover.
 * @param deleting Where it lies.
 * @returns The step.
 */
export function deleteStep(one: Rubbish, deleting: Deleting): Step {
  return {
    id: `delete-${one.kind}-${one.id}`,
    title: `delete ${one.name} (${one.kind}) from ${one.places.join(', ')}`,
    act: async (signal) => {
      for (const place of PLACES.filter((wanted) => one.places.includes(wanted)))
        await deleteAt(place, one, deleting, signal)
      return { kind: one.kind, id: one.id }
    },
  }
}

async function deleteAt(place: RubbishPlace, { id }: Rubbish, deleting: Deleting, signal: AbortSignal): Promise<void> {
  const { keylime, spire, hosts } = deleting
  switch (place) {
    case 'spire-entry':
      await Promise.all(spire.slice(0, 1).map((connection) => deleteEntry(connection, id, signal)))
      return
    case 'spire-agent': {
      const spiffeId = hosts.find(({ agentId }) => agentId === id)?.spiffeId
      if (spiffeId !== undefined)
        await Promise.all(spire.map((connection) => evictAgent(connection, spiffeId, { signal })))
      return
    }
    case 'verifier':
      for (const pair of keylime.verifiers) await unenrolAt(pair, id, signal)
      return
    case 'registrar':
      if (!isAgentId(id)) return
      for (const { admin } of keylime.registrars) await unlessUnknown(admin.delete(id, { signal }))
  }
}

async function deleteEntry(connection: SpireConnection, id: string, signal: AbortSignal): Promise<void> {
  const [result] = await deleteEntries(connection, [id], { signal })
  if (result?.code !== 0 && result?.code !== NOT_FOUND) {
    throw new Error(`SPIRE does not delete entry ${id}: ${result?.message}`)
  }
}

/**
 * Waits for an answer about an agent.
 *
 * @param asked The question.
 * @returns The answer; undefined when the service does not know the agent.
 * @throws {KeylimeError} Every other failure.
 */
export async function unlessUnknown<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) return undefined
    throw error
  }
}

/**
 * Removes an agent from a verifier.
 *
 * @param verifier The verifier.
 * @param id The agent.
 * @param signal The caller's.
 * @returns Whether it was enrolled there.
 */
export async function unenrolAt({ reader, admin }: VerifierPair, id: string, signal: AbortSignal): Promise<boolean> {
  if (!isAgentId(id)) return false
  const limit = AbortSignal.any([signal, AbortSignal.timeout(UNENROL_MS)])
  return unenrol(id, { verifier: reader, admin, signal: limit })
}

function specOf({
  spiffeId,
  parentId,
  selectors,
  x509SvidTtl,
  jwtSvidTtl,
  hint,
  admin,
  downstream,
  storeSvid,
  dnsNames,
  federatesWith,
  expiresAt,
}: SpireEntry): UndoFile['entries'][number] {
  return {
    spiffeId,
    parentId,
    selectors: [...selectors],
    x509SvidTtl,
    jwtSvidTtl,
    hint,
    admin,
    downstream,
    storeSvid,
    dnsNames: [...dnsNames],
    federatesWith: [...federatesWith],
    expiresAt,
  }
}
