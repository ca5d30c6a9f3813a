/**
 * Another policy for a host that is enrolled: out of the verifier whole, and in again.
 *
 * A record that is replaced while it is polled would be polled twice, with two policies; so the poller is stopped first.
 * SPIRE agents keep their SVIDs meanwhile, and a fresh success is there before they ask again.
 *
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `AgentsHandler`
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { AgentId } from '@tower-of-omens/keylime'
import type { AgentRecord, Registration } from '@tower-of-omens/keylime/api'
import { refusedBecause } from '../act/preconditions.ts'
import { until } from '../act/waiting.ts'
import type { FleetHost } from '../fleet.ts'
import type { Step } from '../plan/step.ts'
import { unenrolAt, unlessUnknown } from '../rubbish/delete.ts'
import type { KeylimeAdminSources, VerifierPair } from '../sources/admin.ts'
import { policyText, type TpmPolicyText } from './windows.ts'

/** A quote in flight ends within this. */
const QUIET_MS = 2_500

/** What is enrolled. */
export interface NextPolicy {
  readonly tpmPolicy: TpmPolicyText
  readonly withinMs: number
  /** JSON text of a runtime policy; default: the one that is enrolled. */
  readonly runtimePolicy?: string
  /** JSON text of a measured-boot policy. */
  readonly measuredBootPolicy?: string
  /** What the registrar knows of it; default: it is asked. */
  readonly registration?: Registration
  /** Where its Keylime agent is polled; default: where it registered. */
  readonly contact?: { readonly host: string; readonly port: number }
}

/**
 * Plans the change of a host's policy.
 *
 * @param host The host, enrolled.
 * @param keylime Where.
 * @param next The policy.
 * @returns The step: it waits for a new success, and puts the old policy back when there is none.
 */
export function reEnrolStep(host: FleetHost, keylime: KeylimeAdminSources, next: NextPolicy): Step {
  const verifier = verifierOf(host, keylime)
  const old = host.record?.value
  let kept: Partial<NextPolicy> = {}
  return {
    id: `enrol-${host.agentId}`,
    title: `enrol ${host.name} with ${JSON.stringify(next.tpmPolicy).slice(0, 120)}`,
    act: async (signal) => {
      // All that the way back needs too, before anything is taken away.
      kept = {
        ...(await ownPolicies(verifier, host.agentId, old, signal)),
        registration: await registrationOf(host.agentId, keylime, signal),
        ...(old?.ip !== undefined && old.port !== undefined && { contact: { host: old.ip, port: old.port } }),
      }
      await replace(host.agentId, keylime, verifier, { ...kept, ...next }, signal)
      return { host: host.name, tpm_policy: JSON.stringify(next.tpmPolicy), before: old?.tpmPolicy ?? '' }
    },
    verify: (signal) => requireSuccess(verifier, host.agentId, next.withinMs, signal),
    undo: async () => {
      if (old === undefined) return
      const signal = AbortSignal.timeout(60_000)
      const before = policyText(old.tpmPolicy)
      await replace(host.agentId, keylime, verifier, { ...kept, tpmPolicy: before, withinMs: next.withinMs }, signal)
    },
  }
}

/**
 * Finds the verifier that polls a host.
 *
 * @param host The host.
 * @param keylime The services.
 * @returns The verifier; the first one for a host that none knows.
 * @throws {Error} No verifier is configured.
 */
export function verifierOf({ record }: Pick<FleetHost, 'record'>, { verifiers }: KeylimeAdminSources): VerifierPair {
  const found = verifiers.find(({ reader }) => reader.name === record?.verifier) ?? verifiers[0]
  if (found === undefined) throw new Error('no verifier is configured')
  return found
}

async function replace(
  agentId: AgentId,
  keylime: KeylimeAdminSources,
  verifier: VerifierPair,
  next: NextPolicy,
  signal: AbortSignal,
): Promise<void> {
  await unenrolAt(verifier, agentId, signal)
  await delay(QUIET_MS, undefined, { signal })
  await enrolNow(agentId, keylime, verifier, next, signal)
}

/**
 * Enrols an agent with what its registrar knows of it.
 *
 * @param agentId The agent, not enrolled.
 * @param keylime The services.
 * @param verifier Which verifier polls it.
 * @param next Its policy.
 * @param signal The caller's.
 */
export async function enrolNow(
  agentId: AgentId,
  { registrars }: Pick<KeylimeAdminSources, 'registrars'>,
  verifier: VerifierPair,
  next: NextPolicy,
  signal: AbortSignal,
): Promise<void> {
  const registration = next.registration ?? (await registrationOf(agentId, { registrars }, signal))
  const address = verifier.reader.name.replace(/^.* /, '')
  const colon = address.lastIndexOf(':')
  await verifier.admin.enrol(
    agentId,
    {
      registration,
      ...(next.contact !== undefined && { contact: next.contact }),
      verifier: { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) },
      tpmPolicy: next.tpmPolicy,
      ...(next.runtimePolicy !== undefined && { runtimePolicy: { text: next.runtimePolicy } }),
      ...(next.measuredBootPolicy !== undefined && { measuredBootPolicy: { text: next.measuredBootPolicy } }),
    },
    { signal },
  )
}

async function registrationOf(
  agentId: AgentId,
  { registrars }: Pick<KeylimeAdminSources, 'registrars'>,
  signal: AbortSignal,
): Promise<Registration> {
  for (const { admin } of registrars) {
    const found = await unlessUnknown(admin.getRegistration(agentId, { signal }))
    if (found !== undefined) return found
  }
  throw refusedBecause(`no registrar knows ${agentId}: start its Keylime agent, which registers it`)
}

/**
 * Requires that a host passes a quote.
 *
 * @param verifier Who polls it.
 * @param agentId The agent, enrolled a moment ago.
 * @param withinMs For how long to wait.
 * @param signal The caller's.
 * @throws {Error} It failed, or passed none in time.
 */
export async function requireSuccess(
  verifier: VerifierPair,
  agentId: AgentId,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> {
  const ended = await until(
    async () => {
      const now = await verifier.reader.getAgent(agentId, { signal })
      const passed = (now.operationalState === 3 || now.operationalState === 5) && (now.attestationCount ?? 0) > 0
      return passed || [7, 9, 10].includes(now.operationalState ?? 0) ? now : undefined
    },
    { withinMs, signal },
  )
  if (ended === undefined) throw new Error(`${agentId} passed no quote within ${withinMs / 1000} s`)
  if (ended.operationalState !== 3 && ended.operationalState !== 5) {
    throw new Error(
      `${agentId} fails with that policy: state ${ended.operationalState}, ${ended.lastEventId ?? 'no event'}`,
    )
  }
}

// The record says only that there are such policies; the verifier keeps them under the agent's ID.
async function ownPolicies(
  { admin }: VerifierPair,
  agentId: AgentId,
  record: AgentRecord | undefined,
  signal: AbortSignal,
): Promise<Partial<NextPolicy>> {
  const runtime = record?.hasRuntimePolicy === true ? await admin.runtimePolicies.get(agentId, { signal }) : undefined
  const boot = record?.hasMbRefstate === true ? await admin.measuredBootPolicies.get(agentId, { signal }) : undefined
  return {
    ...(runtime !== undefined && { runtimePolicy: runtime.text }),
    ...(boot !== undefined && { measuredBootPolicy: boot.text }),
  }
}
