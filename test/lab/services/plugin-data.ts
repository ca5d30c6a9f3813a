/**
 * `plugin_data` of our two halves, for real services.
 *
 * @module
 */
import { RigError } from '../processes/errors.ts'
import type { ConfObject } from './hcl-text.ts'

/** PEM files of one end. */
export interface TlsPaths {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Address of a service. */
export interface ServiceAddress {
  readonly host: string
  readonly port: number
}

/**
 * Gathers what the server half must be told.
 *
 * @param verifiers Their addresses, at least one.
 * @param registrars Their TLS addresses, at least one.
 * @param files CA of both services, and the client certificate that both accept.
 */
export function serverData(
  verifiers: readonly ServiceAddress[],
  registrars: readonly ServiceAddress[],
  files: TlsPaths,
): ConfObject {
  return {
    ...addressKeys('keylime_verifier', verifiers),
    ...addressKeys('keylime_registrar', registrars),
    keylime_tls_ca_cert_file: files.ca,
    keylime_tls_cert_file: files.cert,
    keylime_tls_key_file: files.key,
  }
}

/** One service has keys for host and port, several have a list. */
function addressKeys(key: string, [first, ...more]: readonly ServiceAddress[]): ConfObject {
  if (first === undefined) throw new RigError(`${key}: expected at least one address`)
  if (more.length === 0) return { [`${key}_host`]: first.host, [`${key}_port`]: String(first.port) }
  return { [`${key}s`]: [first, ...more].map(({ host, port }) => `${host}:${port}`) }
}

/**
 * Gathers what the agent half must be told to quote by itself.
 *
 * @param tpmPath UNIX socket of the TPM.
 * @param keyFile The Keylime agent's `agent_data.json`.
 */
export function tpmData(tpmPath: string, keyFile: string): ConfObject {
  return { evidence: 'tpm', tpm_path: tpmPath, keylime_agent_data: keyFile }
}

/**
 * Gathers what the agent half must be told.
 *
 * @param files CA of the Keylime agent's certificate, and the client certificate that it accepts.
 */
export function agentData(port: number, files: TlsPaths): ConfObject {
  return {
    keylime_agent_host: '127.0.0.1',
    keylime_agent_port: String(port),
    keylime_agent_use_tls: true,
    keylime_agent_ca_cert: files.ca,
    keylime_agent_client_cert: files.cert,
    keylime_agent_client_key: files.key,
  }
}
