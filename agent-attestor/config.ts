/**
 * From `plugin_data` to what attestations work with: checked values, checked files, a client of the Keylime agent.
 *
 * @module
 */

import { parseAgentId } from '@tower-of-omens/keylime'
import { KeylimeAgentClient } from '@tower-of-omens/keylime/api'
import { HttpsOrigin } from '@tower-of-omens/keylime/https'
import {
  CertificateWatch,
  loadTlsFiles,
  type TlsFiles,
  type TlsMaterial,
  type TlsWatch,
  watchTlsFiles,
} from '@tower-of-omens/keylime/tls-files'
import type { BuildContext, ConfigOutcome, Logger } from '@tower-of-omens/spire-sdk'
import { type Decoded, decodeConfig } from '@tower-of-omens/spire-sdk/hcl'
import type { AidContext } from './aid-attestation.ts'
import { CertificateGauge } from './certificate-gauge.ts'
import { IdentitySource } from './claimed-identity.ts'
import { AGENT_SCHEMA } from './schema.ts'

/** Is a configuration in force. */
export interface AgentConfig extends AidContext {
  /** Ends the watch of the files, and the connections once their requests are answered. */
  close(): Promise<void>
}

type Values = Decoded<(typeof AGENT_SCHEMA)['fields']>

const TLS_KEYS = ['keylime_agent_ca_cert', 'keylime_agent_client_cert', 'keylime_agent_client_key'] as const
const TLS_NAMES = { caFile: TLS_KEYS[0], certFile: TLS_KEYS[1], keyFile: TLS_KEYS[2] }

/**
 * Builds a configuration whole, or says everything that is wrong with text and files. Opens no connection.
 *
 * @param hcl Text of `plugin_data`.
 * @param context Mode `validate`: only problems and warnings. Log and host services are kept for the files' watch.
 * @returns Problems, warnings, and without problems the configuration.
 */
export function buildAgentConfig(hcl: string, context: BuildContext): ConfigOutcome<AgentConfig> {
  const { mode, log, hosts } = context
  const { values, problems, warnings } = decodeConfig(hcl, AGENT_SCHEMA)
  const files = tlsFilesOf(values)
  // Wrong values stand as their defaults, but files that are named can be looked at beside other problems.
  const loaded = values.keylime_agent_use_tls ? loadTlsFiles(files, { names: TLS_NAMES }) : undefined
  const told = {
    problems: [...problems.map(String), ...(loaded?.problems ?? [])],
    warnings: [...warnings.map(String), ...weaknesses(values), ...(loaded?.warnings ?? [])],
  }
  if (told.problems.length > 0 || mode === 'validate') return told
  const watch =
    loaded?.material === undefined ? undefined : watchTlsFiles(files, loaded.material, { names: TLS_NAMES, log })
  if (loaded?.material !== undefined) logMaterial(loaded.material, log)
  const gauge = new CertificateGauge(hosts)
  const certificates =
    watch === undefined
      ? undefined
      : new CertificateWatch(watch, { log, gauge: (left, file) => void gauge.set(left, file) })
  return { ...told, config: newConfig(values, watch, certificates) }
}

function newConfig(
  values: Values,
  watch: TlsWatch | undefined,
  certificates: CertificateWatch | undefined,
): AgentConfig {
  const origin = new HttpsOrigin({
    role: 'keylime agent',
    host: values.keylime_agent_host,
    port: values.keylime_agent_port,
    serverName: values.keylime_agent_server_name,
    tls: watch,
    timeoutMs: values.request_timeout,
    settings: {
      host: 'keylime_agent_host',
      port: 'keylime_agent_port',
      serverName: 'keylime_agent_server_name',
      useTls: 'keylime_agent_use_tls',
      timeout: 'request_timeout',
    },
  })
  const pinned = values.keylime_agent_uuid
  const keylimeAgent = new KeylimeAgentClient(origin)
  return {
    keylimeAgent,
    identity: new IdentitySource(keylimeAgent, pinned === undefined ? undefined : parseAgentId(pinned)),
    waitForAgentMs: values.wait_for_agent,
    close: async () => {
      certificates?.close()
      watch?.close()
      await origin.close()
    },
  }
}

function tlsFilesOf(values: Values): TlsFiles {
  return {
    caFile: values.keylime_agent_ca_cert,
    certFile: values.keylime_agent_client_cert,
    keyFile: values.keylime_agent_client_key,
    // Its own certificate is self-signed; its clients' CA is another, on purpose.
    clientCaElsewhere: true,
  }
}

function weaknesses(values: Values): readonly string[] {
  if (values.keylime_agent_use_tls) {
    return values.keylime_agent_client_cert === undefined && values.keylime_agent_client_key === undefined
      ? [
          'keylime_agent_client_cert is not set: a keylime agent with enable_agent_mtls answers nobody without a client certificate',
        ]
      : []
  }
  const unused = TLS_KEYS.filter((key) => values[key] !== undefined)
  return [
    'keylime_agent_use_tls is false: evidence travels in the clear, and any local user can have this TPM quote; set it to true and enable_agent_mtls in the keylime agent',
    ...(unused.length > 0 ? [`${unused.join(', ')}: without effect while keylime_agent_use_tls is false`] : []),
  ]
}

function logMaterial({ client, caFile }: TlsMaterial, log: Logger): void {
  log.info('TLS files loaded', {
    ...(caFile !== undefined && { ca_file: caFile }),
    ...(client !== undefined && { subject: client.subject, issuer: client.issuer, not_after: client.notAfter }),
  })
}
