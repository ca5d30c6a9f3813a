/**
 * What attestations run with: built by Configure from a configuration's text, and fixed when a stream opens.
 *
 * @module
 */
import { formatHostPort, sleep } from '@tower-of-omens/keylime'
import type { BuildContext, ConfigOutcome, ConfigRequest } from '@tower-of-omens/spire-sdk'
import { readConfig, type ServerConfig } from './config.ts'
import { AdmittedNodes } from './identity/identity.ts'
import { type KeylimeClients, openClients } from './reading/clients.ts'
import { HeldNodes } from './reading/held-nodes.ts'
import { requireKnownAnswers } from './self-test/self-test.ts'
import { EkCaWatch } from './telemetry/ek-ca-watch.ts'
import { AttestationMetrics } from './telemetry/metrics.ts'
import { PolicyWatch } from './telemetry/policy-watch.ts'

/** What one process remembers through all its configurations. */
export interface Memory {
  /** Which TPM holds which ID. */
  readonly admitted: AdmittedNodes
  /** Which policies were warned of. */
  readonly policies: PolicyWatch
  /** How many nodes wait for their attestation: who finds no place is answered at once. */
  readonly held: HeldNodes
}

/** A configuration in force, its open services, and what outlives configurations. */
export interface AttestContext extends Memory {
  readonly config: ServerConfig
  readonly clients: KeylimeClients
  readonly metrics: AttestationMetrics
  /** Tells the time for certificates. */
  readonly now: () => Date
  /** Sleeps between two looks at a node that is not attested yet. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Ends connections, watches and metrics once the last attestation that uses them has ended. */
  close(): Promise<void>
}

/** Makes an empty memory. @returns The memory, bounded. */
export function newMemory(): Memory {
  return { admitted: new AdmittedNodes(), policies: new PolicyWatch(), held: new HeldNodes() }
}

/**
 * Builds what attestations run with.
 *
 * @param request Trust domain and `plugin_data`.
 * @param context Configure or Validate, log, the host's services.
 * @param memory Shared by all configurations of the process.
 * @returns Every problem and warning; the context when there is no problem and it is not only validated.
 * @throws {RpcError} `INTERNAL`: the proof of quotes fails its known-answer test.
 */
export function buildContext(
  request: ConfigRequest,
  context: BuildContext,
  memory: Memory,
): ConfigOutcome<AttestContext> {
  const { problems, warnings, config } = readConfig(request)
  // Validate reads the files and opens nothing.
  if (config === undefined || context.mode === 'validate') return { problems, warnings }
  requireKnownAnswers()
  logConfigured(config, context)
  return { problems, warnings, config: open(config, context, memory) }
}

function open(config: ServerConfig, { log, hosts }: BuildContext, memory: Memory): AttestContext {
  const metrics = new AttestationMetrics(hosts, log)
  const clients = openClients(config.services, log, {
    request: (seen) => metrics.requested(seen),
    certificate: (left, certFile) => metrics.certificateLeft(left, certFile),
  })
  const { ekAnchors } = config.identity
  const ekCaWatch = ekAnchors === undefined ? undefined : new EkCaWatch(ekAnchors, log)
  const close = async (): Promise<void> => {
    ekCaWatch?.close()
    await Promise.all([clients.close(), metrics.close()])
  }
  return { config, clients, metrics, ...memory, now: () => new Date(), sleep, close }
}

/** Logs what is in force: a key that was misspelt once cost three hours. */
function logConfigured({ trustDomain, services, gate, identity, waitMs }: ServerConfig, { log }: BuildContext): void {
  const { client, caFile } = services.tls.material
  log.info('Configured', {
    trust_domain: trustDomain,
    verifiers: services.verifiers.map(formatHostPort).join(' '),
    registrars: services.registrars.map(formatHostPort).join(' '),
    ca_file: caFile,
    cert_file: client?.certFile,
    cert_subject: client?.subject,
    cert_issuer: client?.issuer,
    cert_not_after: client?.notAfter.toISOString(),
    enforce: gate.enforce,
    require_policy: gate.requirePolicy.join(' '),
    pinned_policy: gate.pinnedPolicy?.canonical,
    require_ek_uuid: identity.requireEkUuid,
    ek_ca_certificates: identity.ekAnchors?.certificates.length,
    wait_for_attestation_ms: waitMs,
  })
}
