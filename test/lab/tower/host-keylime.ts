/**
 * The Keylime agent of a host, in the host's mode.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type AgentChange, KeylimeAgent } from '../services/keylime-agent.ts'
import { KeylimePushAgent } from '../services/keylime-push-agent.ts'
import type { HostFiles, HostOptions } from './host-files.ts'
import { KEYLIME_PORTS, PUSH_VERIFIER_PORT, SERVICE_NAMES, SERVICES_IP } from './hosts.ts'
import type { MeasuredHost } from './measured-host.ts'

/** Port of a Keylime agent in pull mode. */
export const AGENT_PORT = 9002

/** The Keylime agent of either mode. */
export type HostKeylimeAgent = KeylimeAgent | KeylimePushAgent

/** What one starts with. */
export interface AgentSurroundings {
  readonly options: HostOptions
  readonly files: HostFiles
  readonly measured: MeasuredHost
}

/**
 * Starts the agent of a host for the first time: it registers.
 *
 * @param change Otherwise than its options say, this once; in pull mode.
 */
export function startHostAgent(
  { options, files, measured }: AgentSurroundings,
  change: AgentChange,
): Promise<HostKeylimeAgent> {
  const { dir, starter, parts, host, uuid } = options
  const shared = {
    dir: join(dir, 'keylime'),
    tpm: measured.tpm,
    registrar: { host: SERVICES_IP, port: KEYLIME_PORTS.registrar },
    ...(uuid === undefined ? {} : { uuid }),
  }
  if (options.mode === 'push')
    return KeylimePushAgent.start(starter, {
      ...shared,
      verifier: { host: SERVICE_NAMES.verifier, port: PUSH_VERIFIER_PORT },
      verifierCaFile: files.root,
      realAgent: parts.realPushAgent,
    })
  const own = {
    ...shared,
    realAgent: parts.realAgent,
    listen: '0.0.0.0',
    contactIp: host.ip,
    port: AGENT_PORT,
    serverPair: { certFile: files.agentCert, keyFile: files.agentKey },
    // A host whose agent half quotes by itself has no client certificate.
    clientCaFiles: [files.chain, files.pluginCert, files.pluginNext].filter((file) => existsSync(file)),
    imaListFile: measured.imaListFile,
    bootLogFile: measured.bootLogFile,
  }
  return KeylimeAgent.start(starter, own, change)
}
