/**
 * From `plugin_data` to what attestations work with: checked values, checked files, a client of the Keylime agent.
 *
 * @module
 */

import { type AgentId, parseAgentId } from '@tower-of-omens/keylime'
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
import type { BuildContext, ConfigOutcome, ConfigRequest, Logger } from '@tower-of-omens/spire-sdk'
import { type Decoded, type DecodedConfig, decodeConfig, EMPTY_PROBLEM, Problem } from '@tower-of-omens/spire-sdk/hcl'
import { AgentEvidence } from './agent-evidence.ts'
import type { AidContext } from './aid-attestation.ts'
import { CertificateGauge } from './certificate-gauge.ts'
import { IdentitySource } from './claimed-identity.ts'
import { AGENT_SCHEMA } from './schema.ts'
import { lookAtTpm } from './tpm-config.ts'
import { TpmEvidence } from './tpm-evidence.ts'

/** A configuration in force. */
export interface AgentConfig extends AidContext {
  /** Ends the watch of the files, the connections once their requests are answered, the use of the TPM. */
  close(): Promise<void>
}

type Decoding = DecodedConfig<(typeof AGENT_SCHEMA)['fields']>
type Values = Decoded<(typeof AGENT_SCHEMA)['fields']>

const TLS_KEYS = ['keylime_agent_ca_cert', 'keylime_agent_client_cert', 'keylime_agent_client_key'] as const
const AGENT_KEYS = [
  'keylime_agent_host',
  'keylime_agent_port',
  'keylime_agent_use_tls',
  ...TLS_KEYS,
  'keylime_agent_server_name',
] as const
const TPM_KEYS = ['tpm_path', 'keylime_agent_data', 'tpm_endorsement_auth_file'] as const
const TLS_NAMES = { caFile: TLS_KEYS[0], certFile: TLS_KEYS[1], keyFile: TLS_KEYS[2] }

/**
 * Builds a configuration whole, or says everything that is wrong with text and files. Opens no connection.
 *
 * @param request Text of `plugin_data`, and the trust domain.
 * @param context Mode `validate`: only problems and warnings. Log and host services are kept for the files' watch.
 * @returns Problems, warnings, and without problems the configuration.
 */
export function buildAgentConfig(request: ConfigRequest, context: BuildContext): ConfigOutcome<AgentConfig> {
  const decoded = decodeConfig(request.hcl, AGENT_SCHEMA)
  const from = decoded.values.evidence === 'tpm' ? fromTpm(decoded, request, context) : fromAgent(decoded, context)
  const told = {
    problems: [...decoded.problems.map(String), ...emptyCa(decoded), ...from.problems],
    warnings: [...decoded.warnings.map(String), ...withoutEffect(decoded), ...from.warnings],
  }
  if (told.problems.length > 0 || context.mode === 'validate') return told
  return { ...told, config: { waitForAgentMs: decoded.values.wait_for_agent, ...from.open() } }
}

/** One source of evidence, looked at and not yet opened. */
interface Looked {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  open(): Pick<AgentConfig, 'evidence' | 'close'>
}

function fromTpm({ values }: Decoding, { trustDomain }: ConfigRequest, { log }: BuildContext): Looked {
  const { problems, warnings, endorsementSecret } = lookAtTpm({
    device: values.tpm_path,
    keyFile: values.keylime_agent_data,
    endorsementAuthFile: values.tpm_endorsement_auth_file,
  })
  return {
    problems,
    warnings,
    open: () => {
      const evidence = new TpmEvidence({
        tpm: { path: values.tpm_path, timeoutMs: values.request_timeout },
        keyFile: values.keylime_agent_data,
        endorsementSecret,
        trustDomain,
        pinnedId: pinnedIdOf(values),
        log,
      })
      return { evidence, close: () => evidence.close() }
    },
  }
}

function fromAgent({ values }: Decoding, { log, hosts }: BuildContext): Looked {
  const files = tlsFilesOf(values)
  // Wrong values stand as their defaults, but files that are named can be looked at beside other problems.
  const loaded = values.keylime_agent_use_tls ? loadTlsFiles(files, { names: TLS_NAMES }) : undefined
  return {
    problems: loaded?.problems ?? [],
    warnings: [...weaknesses(values), ...(loaded?.warnings ?? [])],
    open: () => {
      const watch =
        loaded?.material === undefined ? undefined : watchTlsFiles(files, loaded.material, { names: TLS_NAMES, log })
      if (loaded?.material !== undefined) logMaterial(loaded.material, log)
      const gauge = new CertificateGauge(hosts)
      const certificates =
        watch === undefined
          ? undefined
          : new CertificateWatch(watch, { log, gauge: (left, file) => void gauge.set(left, file) })
      return askingAgent(values, watch, certificates)
    },
  }
}

function askingAgent(
  values: Values,
  watch: TlsWatch | undefined,
  certificates: CertificateWatch | undefined,
): Pick<AgentConfig, 'evidence' | 'close'> {
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
  const keylimeAgent = new KeylimeAgentClient(origin)
  return {
    evidence: new AgentEvidence(keylimeAgent, new IdentitySource(keylimeAgent, pinnedIdOf(values))),
    close: async () => {
      certificates?.close()
      watch?.close()
      await origin.close()
    },
  }
}

function pinnedIdOf({ keylime_agent_uuid: pinned }: Values): AgentId | undefined {
  return pinned === undefined ? undefined : parseAgentId(pinned)
}

// Without a CA of its own the Keylime agent would be trusted by the system's roots.
function emptyCa({ values, emptied }: Decoding): readonly string[] {
  const at = emptied.get('keylime_agent_ca_cert')
  const hasEffect = values.evidence === 'keylime-agent' && values.keylime_agent_use_tls
  return at !== undefined && hasEffect ? [String(new Problem(at, 'keylime_agent_ca_cert', EMPTY_PROBLEM))] : []
}

/** Names the keys that belong to the other source of evidence. */
function withoutEffect({ values, given }: Decoding): readonly string[] {
  const other = values.evidence === 'tpm' ? AGENT_KEYS : TPM_KEYS
  const unused = other.filter((key) => given.has(key))
  return unused.length === 0 ? [] : [`${unused.join(', ')}: without effect while evidence is "${values.evidence}"`]
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
