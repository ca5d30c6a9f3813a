/**
 * A SPIRE server and agent with SPIRE's own attestor for DevIDs, and nothing of ours in them.
 *
 * @see spiffe/spire ef8527ec9, doc/plugin_server_nodeattestor_tpm_devid.md, doc/plugin_agent_nodeattestor_tpm_devid.md
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../processes/commands.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import { type ConfObject, renderHcl } from './hcl-text.ts'
import type { ShownAgent } from './spire-server.ts'

/** Where they run, and with what. */
export interface DevIdSpireOptions {
  /** Private folder; made when missing. */
  readonly dir: string
  readonly binDir: string
  readonly port: number
  readonly trustDomain: string
  /** PEM files: whom DevIDs come from, and whom endorsement certificates. */
  readonly devIdCaFile: string
  readonly endorsementCaFile: string
  readonly devId: { readonly certFile: string; readonly pubFile: string; readonly privFile: string }
  /** UNIX socket of the TPM. */
  readonly tpmPath: string
}

/** The pair; both run until they are stopped. */
export interface DevIdSpire {
  /** Starts an agent that has never attested, and waits until the server knows it. */
  attest(): Promise<ShownAgent>
  stop(): Promise<void>
}

/**
 * Starts the server.
 *
 * @param starter Starts processes on the host of the TPM.
 */
export async function startDevIdSpire(starter: ProcessStarter, options: DevIdSpireOptions): Promise<DevIdSpire> {
  const { dir, binDir } = options
  mkdirSync(join(dir, 'data'), { recursive: true, mode: 0o700 })
  const socket = ['-socketPath', join(dir, 'api.sock')]
  const ask = (...words: readonly string[]): Promise<string> =>
    runCommand(join(binDir, 'spire-server'), [...words, ...socket])
  const start = (name: 'spire-server' | 'spire-agent', conf: ConfObject): RigProcess => {
    const file = join(dir, `${name}.conf`)
    writeFileSync(file, renderHcl(conf), { mode: 0o600 })
    return starter.start({ name: `devid-${name}`, command: join(binDir, name), args: ['run', '-config', file] })
  }
  const server = start('spire-server', serverConf(options))
  const watched = { logFile: server.logFile, abort: () => server.requireRunning() }
  await pollUntil('the server for DevIDs', () => ask('healthcheck').catch(() => undefined), watched)
  writeFileSync(join(dir, 'bundle.pem'), await ask('bundle', 'show'))
  let [agent, starts]: [RigProcess | undefined, number] = [undefined, 0]
  const list = async (): Promise<readonly ShownAgent[]> =>
    (JSON.parse(await ask('agent', 'list', '-output', 'json')) as { agents: readonly ShownAgent[] }).agents
  return {
    attest: async () => {
      await agent?.stop()
      const before = new Set((await list()).map(({ id }) => id.path))
      starts += 1
      const started = start('spire-agent', agentConf(options, join(dir, `agent-${starts}`)))
      agent = started
      const fresh = async () => (await list()).find(({ id }) => !before.has(id.path))
      return pollUntil('an agent to attest by its DevID', fresh, {
        logFile: started.logFile,
        abort: () => started.requireRunning(),
      })
    },
    stop: async () => {
      await agent?.stop()
      await server.stop()
    },
  }
}

function serverConf({ dir, port, trustDomain, devIdCaFile, endorsementCaFile }: DevIdSpireOptions): ConfObject {
  const data = join(dir, 'data')
  const database = { database_type: 'sqlite3', connection_string: join(data, 'datastore.sqlite3') }
  return {
    server: {
      bind_address: '127.0.0.1',
      bind_port: port,
      socket_path: join(dir, 'api.sock'),
      trust_domain: trustDomain,
      data_dir: data,
    },
    plugins: {
      'DataStore "sql"': { plugin_data: database },
      'KeyManager "memory"': { plugin_data: {} },
      'NodeAttestor "tpm_devid"': {
        plugin_data: { devid_ca_path: devIdCaFile, endorsement_ca_path: endorsementCaFile },
      },
    },
  }
}

function agentConf({ dir, port, trustDomain, devId, tpmPath }: DevIdSpireOptions, data: string): ConfObject {
  mkdirSync(data, { mode: 0o700 })
  return {
    agent: {
      server_address: '127.0.0.1',
      server_port: port,
      socket_path: join(data, 'workload.sock'),
      trust_domain: trustDomain,
      trust_bundle_path: join(dir, 'bundle.pem'),
      data_dir: data,
    },
    plugins: {
      'KeyManager "memory"': { plugin_data: {} },
      'WorkloadAttestor "unix"': { plugin_data: {} },
      'NodeAttestor "tpm_devid"': {
        plugin_data: {
          tpm_device_path: tpmPath,
          devid_cert_path: devId.certFile,
          devid_pub_path: devId.pubFile,
          devid_priv_path: devId.privFile,
        },
      },
    },
  }
}
