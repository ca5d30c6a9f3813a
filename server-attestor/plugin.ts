/**
 * The server half as SPIRE loads it: one service, one builder for Configure and Validate.
 *
 * @module
 */
import { formatHostPort } from '../plugins/keylime/host-port.ts'
import { MAX_MESSAGE_BYTES } from '../plugins/keylime/messages.ts'
import type { BuildContext, ConfigOutcome, ConfigRequest, PluginOptions } from '../plugins/sdk/plugin-options.ts'
import { serverNodeAttestor } from '../plugins/sdk/server-node-attestor.ts'
import { attestReported } from './attest-reported.ts'
import type { Attestor } from './attestor.ts'
import { openClients } from './clients.ts'
import { readConfig, type ServerConfig } from './config.ts'
import { sleep } from './deadline.ts'
import { type AdmittedNodes, newAdmittedNodes } from './identity.ts'
import { AttestationMetrics } from './metrics.ts'
import { PolicyWatch } from './policy-watch.ts'
import { toRpcError } from './status.ts'

/** Holds what one process remembers through all its configurations. */
interface Memory {
  readonly admitted: AdmittedNodes
  readonly policies: PolicyWatch
}

/**
 * Describes the plugin to the SDK.
 *
 * @returns Options for `servePlugin`.
 */
export function serverPlugin(): PluginOptions<Attestor> {
  const memory: Memory = { admitted: newAdmittedNodes(), policies: new PolicyWatch() }
  return {
    name: 'keylime-attestor-server',
    type: 'NodeAttestor',
    services: [serverNodeAttestor<Attestor>({ attest: attestReported, maxMessageBytes: MAX_MESSAGE_BYTES })],
    config: {
      build: (request, context) => build(request, context, memory),
      dispose: async ({ clients, metrics }) => {
        await Promise.all([clients.close(), metrics.close()])
      },
    },
    mapError: toRpcError,
  }
}

function build(request: ConfigRequest, context: BuildContext, memory: Memory): ConfigOutcome<Attestor> {
  const { problems, warnings, config } = readConfig(request)
  // Validate reads the files and opens nothing.
  if (config === undefined || context.mode === 'validate') return { problems, warnings }
  logConfigured(config, context)
  return { problems, warnings, config: open(config, context, memory) }
}

function open(config: ServerConfig, { log, hosts }: BuildContext, memory: Memory): Attestor {
  const metrics = new AttestationMetrics(hosts, log)
  const clients = openClients(config.services, log, (seen) => metrics.requested(seen))
  metrics.watchCertificate(clients.tls)
  return { config, clients, metrics, ...memory, now: () => new Date(), sleep }
}

/** Says what is in force: a key that was misspelt once cost three hours. */
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
