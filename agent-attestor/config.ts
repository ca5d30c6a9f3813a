/**
 * From the text of `plugin_data` to a checked configuration, or to every problem with it at once. No sockets, no TPM.
 *
 * @module
 */

import { type AgentId, parseAgentId } from '@tower-of-omens/keylime'
import { loadTlsFiles, type TlsFileNames, type TlsFiles, type TlsMaterial } from '@tower-of-omens/keylime/tls-files'
import { type Decoded, type DecodedConfig, decodeConfig, EMPTY_PROBLEM, Problem } from '@tower-of-omens/spire-sdk/hcl'
import { lookAtTpm } from './evidence/tpm-config.ts'
import type { TpmEvidenceOptions } from './evidence/tpm-evidence.ts'
import { AGENT_SCHEMA } from './schema.ts'

/** The Keylime agent and the way to it. */
export interface AgentAddress {
  readonly kind: 'keylime-agent'
  readonly host: string
  readonly port: number
  readonly serverName: string | undefined
  readonly timeoutMs: number
  /** `keylime_agent_uuid`. */
  readonly pinnedId: AgentId | undefined
  /** Absent: plain HTTP. */
  readonly tls: { readonly files: TlsFiles; readonly material: TlsMaterial } | undefined
}

/** The TPM and the keys in it. */
export interface TpmAddress extends Omit<TpmEvidenceOptions, 'log'> {
  readonly kind: 'tpm'
}

/** A configuration in force: whole, checked, never changed. */
export interface AgentConfig {
  /** `wait_for_agent`, in milliseconds. */
  readonly waitForAgentMs: number
  readonly source: AgentAddress | TpmAddress
}

/** Every problem and warning as a sentence, and the configuration when there is no problem. */
export interface ConfigRead {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  readonly config?: AgentConfig
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

/** Names of the TLS files in messages. */
export const TLS_FILE_NAMES: TlsFileNames = { caFile: TLS_KEYS[0], certFile: TLS_KEYS[1], keyFile: TLS_KEYS[2] }

/**
 * Reads a configuration and the files it names.
 *
 * @param request Text of `plugin_data`, and the trust domain.
 * @returns All problems, or the configuration.
 */
export function readConfig(request: { readonly trustDomain: string; readonly hcl: string }): ConfigRead {
  const decoded = decodeConfig(request.hcl, AGENT_SCHEMA)
  const from = decoded.values.evidence === 'tpm' ? fromTpm(decoded, request.trustDomain) : fromAgent(decoded)
  const problems = [...decoded.problems.map(String), ...emptyCa(decoded), ...from.problems]
  const warnings = [...decoded.warnings.map(String), ...withoutEffect(decoded), ...from.warnings]
  if (problems.length > 0) return { problems, warnings }
  return { problems, warnings, config: { waitForAgentMs: decoded.values.wait_for_agent, source: from.source } }
}

/** One source of evidence, looked at and not yet opened. */
interface Looked {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  readonly source: AgentConfig['source']
}

function fromTpm({ values }: Decoding, trustDomain: string): Looked {
  const { problems, warnings, endorsementSecret } = lookAtTpm({
    device: values.tpm_path,
    keyFile: values.keylime_agent_data,
    endorsementAuthFile: values.tpm_endorsement_auth_file,
  })
  const source: TpmAddress = {
    kind: 'tpm',
    tpm: { path: values.tpm_path, timeoutMs: values.request_timeout },
    keyFile: values.keylime_agent_data,
    endorsementSecret,
    trustDomain,
    pinnedId: pinnedIdOf(values),
  }
  return { problems, warnings, source }
}

function fromAgent({ values }: Decoding): Looked {
  const files = tlsFilesOf(values)
  // Wrong values stand as their defaults, but files that are named can be looked at beside other problems.
  const loaded = values.keylime_agent_use_tls ? loadTlsFiles(files, { names: TLS_FILE_NAMES }) : undefined
  const source: AgentAddress = {
    kind: 'keylime-agent',
    host: values.keylime_agent_host,
    port: values.keylime_agent_port,
    serverName: values.keylime_agent_server_name,
    timeoutMs: values.request_timeout,
    pinnedId: pinnedIdOf(values),
    tls: loaded?.material === undefined ? undefined : { files, material: loaded.material },
  }
  return {
    problems: loaded?.problems ?? [],
    warnings: [...weaknesses(values), ...(loaded?.warnings ?? [])],
    source,
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
