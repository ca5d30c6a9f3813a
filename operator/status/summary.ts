/**
 * The numbers below the table.
 *
 * @module
 */
import type { Fleet } from '../fleet.ts'

/** Shares in percent, 0 to 100; null when the source could not be asked or there is nothing to count. */
export interface StatusSummary {
  readonly hosts: number
  readonly admitted: number
  /** SPIRE agents that were attested with a TPM, of all that are not banned or expired. */
  readonly tpm_percent: number | null
  readonly join_token_percent: number | null
  /** Registered Keylime agents that are polled with mutual TLS. */
  readonly mtls_percent: number | null
  readonly plain_http_percent: number | null
}

/** Node attestors that prove a TPM. */
const TPM_TYPES: ReadonlySet<string> = new Set(['keylime', 'tpm_devid', 'tpm', 'tpm_direct'])

/**
 * Counts.
 *
 * @param fleet Everything at one moment.
 * @param now Milliseconds since the epoch.
 * @returns The numbers.
 */
export function statusSummary(fleet: Fleet, now: number): StatusSummary {
  const living = fleet.spireAgents.filter(({ banned, expiresAt }) => !banned && expiresAt * 1000 > now)
  const agents = fleet.failed.spire === undefined ? living : []
  const registered = fleet.failed.registrar === undefined ? fleet.hosts.filter((host) => host.registered) : []
  const withTls = registered.filter((host) => host.registered?.mtlsCert !== undefined).length
  return {
    hosts: fleet.hosts.length,
    admitted: fleet.hosts.filter(({ standing }) => standing === 'admitted').length,
    tpm_percent: percent(agents.filter(({ attestationType }) => TPM_TYPES.has(attestationType)).length, agents.length),
    join_token_percent: percent(
      agents.filter(({ attestationType }) => attestationType === 'join_token').length,
      agents.length,
    ),
    mtls_percent: percent(withTls, registered.length),
    plain_http_percent: percent(registered.length - withTls, registered.length),
  }
}

function percent(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 1000) / 10
}
