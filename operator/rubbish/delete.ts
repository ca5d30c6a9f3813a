/**
 * The deletion of leftovers, and its undo.
 *
 * @module
 */
import { isAgentId } from '@tower-of-omens/keylime'
import { unenrol } from '@tower-of-omens/keylime/admin'
import {
  createEntries,
  deleteEntries,
  evictAgent,
  type SpireConnection,
  type SpireEntry,
} from '@tower-of-omens/spire-api'
import type { FleetHost } from '../fleet.ts'
import type { Step } from '../plan/step.ts'
import { policyText } from '../policy/windows.ts'
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
  const enrolments = await Promise.all(
    has('verifier').map(async (one) => {
      const record = hostOf(one)?.record?.value
      const runtimePolicy =
        record?.hasRuntimePolicy === true ? await runtimePolicyOf(deleting, one.id, signal) : undefined
      return {
        agentId: one.id,
        ...(record?.ip !== undefined && { ip: record.ip }),
        ...(record?.port !== undefined && { port: record.port }),
        tpmPolicy: record?.tpmPolicy ?? '{}',
        ...(runtimePolicy !== undefined && { runtimePolicy }),
      }
    }),
  )
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

// The verifier keeps an agent's own runtime policy under the agent's ID.
async function runtimePolicyOf({ keylime }: Deleting, id: string, signal: AbortSignal): Promise<string | undefined> {
  for (const { admin } of keylime.verifiers) {
    const found = await admin.runtimePolicies.get(id, { signal }).catch(() => undefined)
    if (found !== undefined) return found.text
  }
  return undefined
}

/**
 * Plans the deletion of one leftover, place by place: SPIRE first, so that nothing attests while it goes.
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
      for (const place of one.places) await deleteAt(place, one, deleting, signal)
      return { kind: one.kind, id: one.id }
    },
  }
}

async function deleteAt(place: RubbishPlace, { id }: Rubbish, deleting: Deleting, signal: AbortSignal): Promise<void> {
  const { keylime, spire, hosts } = deleting
  switch (place) {
    case 'spire-entry':
      await Promise.all(spire.slice(0, 1).map((connection) => deleteEntries(connection, [id], { signal })))
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
      for (const { admin } of keylime.registrars) await admin.delete(id, { signal }).catch(() => undefined)
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

/**
 * Plans the return of what a run deleted.
 *
 * @param undo From its undo file.
 * @param deleting Where it goes.
 * @returns Steps for entries and enrolments; registrations and agents come back by themselves.
 */
export function undoSteps(undo: UndoFile, { keylime, spire }: Pick<Deleting, 'keylime' | 'spire'>): readonly Step[] {
  const [server] = spire
  const entries: readonly Step[] =
    server === undefined || undo.entries.length === 0
      ? []
      : [
          {
            id: 'entries',
            title: `make ${undo.entries.length} entries again`,
            act: async (signal) => {
              const results = await createEntries(server, undo.entries, { signal })
              const failed = results.filter(({ code }) => code !== 0 && code !== 6)
              if (failed.length > 0) throw new Error(`${failed.length} were refused: ${failed[0]?.message}`)
              return { entries: results.length }
            },
          },
        ]
  return [...entries, ...undo.enrolments.map((one) => enrolAgain(one, keylime))]
}

function enrolAgain(one: UndoFile['enrolments'][number], { verifiers, registrars }: KeylimeAdminSources): Step {
  return {
    id: `enrol-${one.agentId}`,
    title: `enrol ${one.agentId} again`,
    act: async (signal) => {
      const { agentId } = one
      const [verifier, registrar] = [verifiers[0], registrars[0]]
      if (!isAgentId(agentId) || verifier === undefined || registrar === undefined)
        throw new Error('no verifier or registrar is known')
      const registration = await registrar.admin.getRegistration(agentId, { signal })
      const host = verifier.reader.name.replace(/^.* /, '')
      const at = host.lastIndexOf(':')
      await verifier.admin.enrol(
        agentId,
        {
          registration,
          ...(one.ip !== undefined && one.port !== undefined && { contact: { host: one.ip, port: one.port } }),
          verifier: { host: host.slice(0, at), port: Number(host.slice(at + 1)) },
          tpmPolicy: policyText(one.tpmPolicy),
          ...(one.runtimePolicy !== undefined && { runtimePolicy: { text: one.runtimePolicy } }),
        },
        { signal },
      )
      return { agent: agentId }
    },
  }
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
