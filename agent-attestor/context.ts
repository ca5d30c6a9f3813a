/**
 * What attestations run with: built by Configure from a configuration's text, and fixed when a stream opens.
 *
 * @module
 */
import { KeylimeAgentClient } from '@tower-of-omens/keylime/api'
import { HttpsOrigin } from '@tower-of-omens/keylime/https'
import { CertificateWatch, type TlsMaterial, type TlsWatch, watchTlsFiles } from '@tower-of-omens/keylime/tls-files'
import type { BuildContext, ConfigOutcome, ConfigRequest, Logger } from '@tower-of-omens/spire-sdk'
import { CertificateGauge } from './certificate-gauge.ts'
import { type AgentAddress, readConfig, TLS_FILE_NAMES } from './config.ts'
import { AgentEvidence } from './evidence/agent-evidence.ts'
import { IdentitySource } from './evidence/claimed-identity.ts'
import type { EvidenceSource } from './evidence/evidence-source.ts'
import { TpmEvidence } from './evidence/tpm-evidence.ts'

/** A configuration in force, and its open source of evidence. */
export interface AidContext {
  readonly evidence: EvidenceSource
  /** `wait_for_agent`, in milliseconds. */
  readonly waitForAgentMs: number
  /** Ends the watch of the files, the connections once their requests are answered, the use of the TPM. */
  close(): Promise<void>
}

/**
 * Builds what attestations run with. Opens no connection, and no TPM.
 *
 * @param request Text of `plugin_data`, and the trust domain.
 * @param context Mode `validate`: only problems and warnings. Log and host services are kept for the files' watch.
 * @returns Every problem and warning; the context when there is no problem and it is not only validated.
 */
export function buildContext(request: ConfigRequest, context: BuildContext): ConfigOutcome<AidContext> {
  const { problems, warnings, config } = readConfig(request)
  if (config === undefined || context.mode === 'validate') return { problems, warnings }
  const { source, waitForAgentMs } = config
  const opened = source.kind === 'tpm' ? openTpm({ ...source, log: context.log }) : openAgent(source, context)
  return { problems, warnings, config: { waitForAgentMs, ...opened } }
}

type Opened = Pick<AidContext, 'evidence' | 'close'>

function openTpm(options: ConstructorParameters<typeof TpmEvidence>[0]): Opened {
  const evidence = new TpmEvidence(options)
  return { evidence, close: () => evidence.close() }
}

function openAgent(source: AgentAddress, { log, hosts }: BuildContext): Opened {
  const { tls, pinnedId } = source
  if (tls !== undefined) logMaterial(tls.material, log)
  const watch = tls === undefined ? undefined : watchTlsFiles(tls.files, tls.material, { names: TLS_FILE_NAMES, log })
  const gauge = new CertificateGauge(hosts)
  const certificates =
    watch === undefined
      ? undefined
      : new CertificateWatch(watch, { log, gauge: (left, file) => void gauge.set(left, file) })
  const origin = newOrigin(source, watch)
  const keylimeAgent = new KeylimeAgentClient(origin)
  return {
    evidence: new AgentEvidence(keylimeAgent, new IdentitySource(keylimeAgent, pinnedId)),
    close: async () => {
      certificates?.close()
      watch?.close()
      await origin.close()
    },
  }
}

function newOrigin({ host, port, serverName, timeoutMs }: AgentAddress, tls: TlsWatch | undefined): HttpsOrigin {
  return new HttpsOrigin({
    role: 'keylime agent',
    host,
    port,
    serverName,
    tls,
    timeoutMs,
    settings: {
      host: 'keylime_agent_host',
      port: 'keylime_agent_port',
      serverName: 'keylime_agent_server_name',
      useTls: 'keylime_agent_use_tls',
      timeout: 'request_timeout',
    },
  })
}

function logMaterial({ client, caFile }: TlsMaterial, log: Logger): void {
  log.info('TLS files loaded', {
    ...(caFile !== undefined && { ca_file: caFile }),
    ...(client !== undefined && { subject: client.subject, issuer: client.issuer, not_after: client.notAfter }),
  })
}
