/**
 * What a host of the tower is made from, and the files it then has.
 *
 * @module
 */
import { join } from 'node:path'
import type { Parts } from '../parts/parts.ts'
import type { ProcessStarter } from '../processes/processes.ts'
import type { OpenBao } from '../services/openbao.ts'
import type { RootCa } from '../services/pki.ts'
import type { NetworkHost } from './network.ts'

/** What a host needs from the tower around it. */
export interface HostOptions {
  readonly host: NetworkHost
  /** Whether the verifier polls it, or it reports to the verifier in push mode. */
  readonly mode: 'pull' | 'push'
  /** Private folder of this host. */
  readonly dir: string
  readonly parts: Parts
  readonly root: RootCa
  readonly bao: OpenBao
  /** Folder of the EK CA all TPMs share. */
  readonly ekCaDir: string
  /** Words a command so that it runs on this host. */
  readonly on: (command: readonly [string, ...string[]]) => readonly [string, ...string[]]
  readonly starter: ProcessStarter
  /** Name that leads to the SPIRE servers. */
  readonly serverName: string
  /** ID the Keylime agent claims; default: the hash of its EK. */
  readonly uuid?: string
}

/** Files of a host, as its services and its operator know them. */
export interface HostFiles {
  readonly certDir: string
  readonly agentCert: string
  readonly agentKey: string
  readonly pluginCert: string
  readonly pluginKey: string
  /** The newest client certificate: the Keylime agent trusts it before the agent half shows it. */
  readonly pluginNext: string
  readonly chain: string
  /** The root alone: all that a Keylime agent in push mode needs, and it reads one certificate. */
  readonly root: string
  /** Bundle of the SPIRE server, as the SPIRE agent's configuration names it. */
  readonly bundle: string
  /** Folder of the SPIRE agent's keys, wrapped by the TPM, where they are kept so. */
  readonly tpmKeys: string
}

/**
 * Names the files of a host.
 *
 * @param dir Its private folder.
 */
export function hostFiles(dir: string): HostFiles {
  const certDir = join(dir, 'certs')
  const file = (name: string): string => join(certDir, name)
  return {
    certDir,
    agentCert: file('agent.crt'),
    agentKey: file('agent.key'),
    pluginCert: file('plugin.crt'),
    pluginKey: file('plugin.key'),
    pluginNext: file('plugin-next.crt'),
    chain: file('ca-complete-chain.crt'),
    root: file('root.crt'),
    bundle: join(dir, 'bundle.pem'),
    tpmKeys: join(dir, 'tpm-keys'),
  }
}
