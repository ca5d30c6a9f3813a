/**
 * The node's Keylime agent: a real one given by path, or the stand-in; either way over the rig's software TPM.
 *
 * @module
 */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import { freePorts } from '../processes/ports.ts'
import type { ProcessSpec, ProcessStarter, RigProcess } from '../processes/processes.ts'
import type { StandInConfig } from './stand-in-agent.ts'
import type { Swtpm } from './swtpm.ts'

const LOCALHOST = '127.0.0.1'

/** What the agent needs around it. */
export interface KeylimeAgentOptions {
  /** Existing private folder. */
  readonly dir: string
  readonly name?: string
  readonly tpm: Swtpm
  /** The registrar's plain HTTP port. */
  readonly registrar: { readonly host: string; readonly port: number }
  /** Path of a real keylime_agent; without it the stand-in runs. */
  readonly realAgent?: string | undefined
  /** "hash_ek" (default), or the ID itself. */
  readonly uuid?: string
  /** PEM files of the clients' CAs, or of a self-signed client itself. */
  readonly clientCaFiles: readonly string[]
  /** Address to listen on; default 127.0.0.1. */
  readonly listen?: string
  /** Address the verifier shall poll; default 127.0.0.1. */
  readonly contactIp?: string
  /** Default: a free one. */
  readonly port?: number
  /** Server certificate (leaf first) and key; default: it makes its own, self-signed. */
  readonly serverPair?: { readonly certFile: string; readonly keyFile: string }
  /** IMA list and firmware event log; default: none. */
  readonly imaListFile?: string
  readonly bootLogFile?: string
  /** False: plain HTTP, as with enable_agent_mtls = false. */
  readonly mtls?: boolean
}

/** What can differ from one start of an agent to the next. */
export interface AgentChange {
  /** False: plain HTTP. */
  readonly mtls?: boolean
  /** Another ID than before: `hash_ek`, the ID itself, or what an agent makes a random one of. */
  readonly uuid?: string
}

/** A Keylime agent, running or stopped. */
export class KeylimeAgent {
  readonly kind: 'real' | 'stand-in'
  readonly port: number
  /** Its self-signed server certificate. */
  readonly certFile: string
  readonly #processes: ProcessStarter
  readonly #options: KeylimeAgentOptions
  #agentId = ''
  #running: RigProcess | undefined

  private constructor(processes: ProcessStarter, options: KeylimeAgentOptions, port: number) {
    this.#processes = processes
    this.#options = options
    this.port = port
    this.kind = options.realAgent === undefined ? 'stand-in' : 'real'
    this.certFile = pairOf(options).certFile
  }

  /**
   * Starts the agent and waits until it is registered and serves.
   *
   * @param change Otherwise than its options say, this once.
   * @throws {RigError} It ends, or does not serve within 60 s.
   */
  static async start(
    processes: ProcessStarter,
    options: KeylimeAgentOptions,
    change: AgentChange = {},
  ): Promise<KeylimeAgent> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 })
    const agent = new KeylimeAgent(processes, options, options.port ?? (await freePorts()))
    await agent.start(change)
    return agent
  }

  /** Gives the ID it registered under. */
  agentId(): string {
    return this.#agentId
  }

  /** Gives the present process. */
  process(): RigProcess {
    if (this.#running === undefined) throw new RigError('the keylime agent was never started')
    return this.#running
  }

  /** Its configuration, as the real agent reads it. */
  get confFile(): string {
    return confFileOf(this.#options)
  }

  /** Ends it. */
  async stop(): Promise<void> {
    await this.#running?.stop()
  }

  /** Starts it (again), on the same port and TPM. */
  async start(change: AgentChange = {}): Promise<void> {
    const options = { ...this.#options, ...change }
    const spec = this.kind === 'real' ? await real(options, this.port) : await standIn(options, this.port)
    const started = this.#processes.start({ name: options.name ?? 'keylime-agent', ...spec })
    this.#running = started
    this.#agentId = await pollUntil('the keylime agent to register and listen', () => listeningId(started.readLog()), {
      deadlineMs: 60_000,
      logFile: started.logFile,
      abort: () => started.requireRunning(),
    })
  }
}

/** Both agents log the same two lines; the second comes when the port is open. */
function listeningId(log: string): string | undefined {
  const id = /Agent UUID: ([A-Za-z0-9._-]+)/.exec(log)?.[1]
  return log.includes('Listening on') ? id : undefined
}

/** The real agent makes its own pair under these names when it finds none. */
function pairOf({ dir, serverPair }: KeylimeAgentOptions): { readonly certFile: string; readonly keyFile: string } {
  return serverPair ?? { certFile: join(dir, 'server-cert.crt'), keyFile: join(dir, 'server-private.pem') }
}

/** The stand-in is started under the real one's name, with the same configuration beside its own, for whoever looks for either. */
async function standIn(options: KeylimeAgentOptions, port: number): Promise<Omit<ProcessSpec, 'name'>> {
  const config: StandInConfig = {
    tcti: options.tpm.tcti,
    dir: options.dir,
    uuid: options.uuid ?? 'hash_ek',
    host: options.listen ?? LOCALHOST,
    contactIp: options.contactIp ?? LOCALHOST,
    port,
    registrarUrl: `http://${options.registrar.host}:${options.registrar.port}`,
    ...pairOf(options),
    clientCaFiles: options.clientCaFiles,
    ...(options.imaListFile === undefined ? {} : { imaListFile: options.imaListFile }),
    ...(options.bootLogFile === undefined ? {} : { bootLogFile: options.bootLogFile }),
    ...(options.mtls === undefined ? {} : { mtls: options.mtls }),
  }
  const configFile = join(options.dir, 'stand-in.json')
  await writeFile(configFile, JSON.stringify(config, undefined, 2), { mode: 0o600 })
  const program = join(options.dir, 'keylime_agent')
  await rm(program, { force: true })
  await symlink(fileURLToPath(new URL('./stand-in-agent.ts', import.meta.url)), program)
  return {
    command: process.execPath,
    args: [program, configFile],
    env: { KEYLIME_AGENT_CONFIG: await writeConf(options, port) },
  }
}

async function real(options: KeylimeAgentOptions, port: number): Promise<Omit<ProcessSpec, 'name'>> {
  const configFile = await writeConf(options, port)
  return {
    // The agent mounts a tmpfs for its secrets; in a mount namespace of its own it is gone when the agent is.
    command: 'unshare',
    args: ['--mount', '--propagation', 'private', options.realAgent ?? ''],
    env: { TCTI: options.tpm.tcti, KEYLIME_AGENT_CONFIG: configFile, RUST_LOG: 'info', TSS2_LOG: 'all+NONE' },
  }
}

function confFileOf({ dir }: KeylimeAgentOptions): string {
  return join(dir, 'agent.conf')
}

async function writeConf(options: KeylimeAgentOptions, port: number): Promise<string> {
  const { dir, serverPair } = options
  const settings: Readonly<Record<string, string | number | boolean>> = {
    version: '2.4',
    uuid: options.uuid ?? 'hash_ek',
    ip: options.listen ?? LOCALHOST,
    port,
    contact_ip: options.contactIp ?? LOCALHOST,
    contact_port: port,
    registrar_ip: options.registrar.host,
    registrar_port: options.registrar.port,
    enable_agent_mtls: options.mtls ?? true,
    keylime_dir: dir,
    ...(serverPair === undefined ? {} : { server_cert: serverPair.certFile, server_key: serverPair.keyFile }),
    trusted_client_ca: `[${options.clientCaFiles.join(', ')}]`,
    extract_payload_zip: false,
    payload_script: '',
    run_as: '',
    // Files that are not there only warn; then a mask must leave out PCR 10 and 0 to 9.
    ima_ml_path: options.imaListFile ?? join(dir, 'no-ima-log'),
    measuredboot_ml_path: options.bootLogFile ?? join(dir, 'no-boot-log'),
  }
  const text = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
  await writeFile(confFileOf(options), `[agent]\n${text.join('')}`, { mode: 0o600 })
  return confFileOf(options)
}
