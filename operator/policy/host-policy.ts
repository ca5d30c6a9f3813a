/**
 * What the policy verbs have in common: the host, its proved values, its baseline.
 *
 * @module
 */
import { refusedBecause, requireHost, requireSources } from '../act/preconditions.ts'
import { type FleetHost, gatherFleet } from '../fleet.ts'
import type { KeylimeAdminSources } from '../sources/admin.ts'
import type { OpenSources } from '../sources/open.ts'
import { type Baseline, readBaselines, type StoredBaseline } from './baselines.ts'
import { bootEvents } from './boot-events.ts'
import { bootPackages } from './packages.ts'
import { type ProvedPcrs, provePcrs } from './prove-pcrs.ts'

/**
 * Finds the host of a policy verb.
 *
 * @param sources The services.
 * @param word Its name.
 * @param signal The caller's.
 * @returns The host; registrar and verifier have answered.
 * @throws {OperatorError} The word names no host, or a source is away.
 */
export async function policyHost(
  sources: OpenSources,
  word: string | undefined,
  signal: AbortSignal,
): Promise<FleetHost> {
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['verifier', 'registrar'])
  return requireHost(fleet, word)
}

/**
 * Proves the present PCR values of a host.
 *
 * @param host The host.
 * @param keylime Opens its Keylime agent.
 * @param wish `pcrs`, and how many quotes must agree.
 * @param signal The caller's.
 * @returns The values.
 * @throws {OperatorError} `TK-ACT-REFUSED`: it is not registered, has no address, or its quote proves nothing.
 */
export async function presentPcrs(
  host: FleetHost,
  keylime: KeylimeAdminSources,
  wish: { readonly pcrs: readonly number[]; readonly times: number },
  signal: AbortSignal,
): Promise<ProvedPcrs> {
  const { registered, record } = host
  const address = {
    host: record?.value.ip ?? registered?.ip ?? '',
    port: record?.value.port ?? registered?.port ?? 9002,
  }
  if (registered === undefined || address.host === '')
    throw refusedBecause(`${host.name} is not registered, so nothing it says can be proved`)
  const names = 'value' in host.certificate ? host.certificate.value.names : []
  // The certificate names the host; its address may not stand in it.
  return provePcrs(
    keylime.agent(
      address,
      names.find((name) => name !== 'localhost'),
    ),
    registered,
    wish,
    signal,
  )
}

/**
 * Makes a baseline of proved values.
 *
 * @param host The host.
 * @param proved Its values.
 * @param facts `kernel`: of this machine, where it is that host. `root`: prefix of usual paths.
 * @returns The baseline.
 */
export function baselineOf(
  host: FleetHost,
  proved: ProvedPcrs,
  { kernel, root }: { readonly kernel: string | undefined; readonly root: string },
): Baseline {
  return {
    schema: 'towerkeep/baseline/v1',
    host: host.name,
    agent_id: host.agentId,
    at: new Date().toISOString(),
    pcrs: Object.fromEntries([...proved.pcrs].map(([pcr, value]) => [String(pcr), value])),
    ...(kernel !== undefined && { kernel, packages: bootPackages(root) }),
    ...(proved.bootLog !== undefined && { events: bootEvents(proved.bootLog).map((event) => ({ ...event })) }),
  }
}

/**
 * Finds a host's baseline.
 *
 * @param root Prefix of usual paths.
 * @param host The host.
 * @returns The baseline, or undefined.
 */
export function storedBaseline(root: string, { agentId, name }: FleetHost): StoredBaseline | undefined {
  return readBaselines(root).find((one) => one.agent_id === agentId || one.host === name)
}
