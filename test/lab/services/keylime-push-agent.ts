/**
 * The node's Keylime agent in push mode: a real one given by path, or the stand-in; either way over the rig's software
 * TPM. It reports to the verifier and opens no port.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessSpec, ProcessStarter, RigProcess } from '../processes/processes.ts'
import type { PushStandInConfig } from './stand-in-push-agent.ts'
import type { Swtpm } from './swtpm.ts'

/** What the agent needs around it. */
export interface KeylimePushAgentOptions {
  /** Private folder. */
  readonly dir: string
  readonly name?: string
  readonly tpm: Swtpm
  /** The registrar's plain HTTP port. */
  readonly registrar: { readonly host: string; readonly port: number }
  readonly verifier: { readonly host: string; readonly port: number }
  /** PEM file of the verifier's CA. */
  readonly verifierCaFile: string
  /** Path of a real keylime_push_model_agent; without it the stand-in runs. */
  readonly realAgent?: string | undefined
  /** "hash_ek" (default), or the ID itself. */
  readonly uuid?: string
}

/** A Keylime agent in push mode, running or stopped. */
export class KeylimePushAgent {
  readonly kind: 'real' | 'stand-in'
  /** The file that holds its key. */
  readonly keyFile: string
  readonly #processes: ProcessStarter
  readonly #options: KeylimePushAgentOptions
  #agentId = ''
  #running: RigProcess | undefined

  private constructor(processes: ProcessStarter, options: KeylimePushAgentOptions) {
    this.#processes = processes
    this.#options = options
    this.kind = options.realAgent === undefined ? 'stand-in' : 'real'
    this.keyFile = join(options.dir, 'agent_data.json')
  }

  /**
   * Starts the agent and waits until it is registered.
   *
   * @throws {RigError} It ends, or is not registered within 60 s.
   */
  static async start(processes: ProcessStarter, options: KeylimePushAgentOptions): Promise<KeylimePushAgent> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 })
    const agent = new KeylimePushAgent(processes, options)
    await agent.start()
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

  /** Ends it. */
  async stop(): Promise<void> {
    await this.#running?.stop()
  }

  /** Starts it (again), on the same TPM and key. */
  async start(): Promise<void> {
    const spec = this.kind === 'real' ? await real(this.#options) : await standIn(this.#options, this.keyFile)
    const started = this.#processes.start({ name: this.#options.name ?? 'keylime-push-agent', ...spec })
    this.#running = started
    this.#agentId = await pollUntil('the keylime agent to register', () => registeredId(started.readLog()), {
      deadlineMs: 60_000,
      logFile: started.logFile,
      abort: () => started.requireRunning(),
    })
  }
}

function registeredId(log: string): string | undefined {
  const id = /Agent UUID(?:: | is )"?([A-Za-z0-9._-]+)|as agent identifier: ([0-9a-f]{64})/.exec(log)
  // Before it is activated the registrar does not know it.
  return /Registered; no port is open|\bactivated\b/.test(log) ? (id?.[1] ?? id?.[2]) : undefined
}

async function standIn(options: KeylimePushAgentOptions, keyFile: string): Promise<Omit<ProcessSpec, 'name'>> {
  const config: PushStandInConfig = {
    tpmPath: options.tpm.path,
    keyFile,
    uuid: options.uuid ?? 'hash_ek',
    registrarUrl: `http://${options.registrar.host}:${options.registrar.port}`,
    verifierUrl: `https://${options.verifier.host}:${options.verifier.port}`,
    verifierCaFile: options.verifierCaFile,
  }
  const configFile = join(options.dir, 'stand-in-push.json')
  await writeFile(configFile, JSON.stringify(config, undefined, 2), { mode: 0o600 })
  const program = fileURLToPath(new URL('./stand-in-push-agent.ts', import.meta.url))
  return { command: process.execPath, args: [program, configFile] }
}

async function real(options: KeylimePushAgentOptions): Promise<Omit<ProcessSpec, 'name'>> {
  const { dir, realAgent = '', registrar, verifier, verifierCaFile } = options
  const configFile = join(dir, 'agent.conf')
  const settings: Readonly<Record<string, string | number | boolean>> = {
    version: '2.5',
    uuid: options.uuid ?? 'hash_ek',
    keylime_dir: dir,
    registrar_ip: registrar.host,
    registrar_port: registrar.port,
    verifier_url: `https://${verifier.host}:${verifier.port}`,
    verifier_tls_ca_cert: verifierCaFile,
    run_as: '',
    attestation_interval_seconds: 2,
    ima_ml_path: join(dir, 'no-ima-log'),
    measuredboot_ml_path: join(dir, 'no-boot-log'),
  }
  const text = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
  await writeFile(configFile, `[agent]\n${text.join('')}`, { mode: 0o600 })
  return {
    command: realAgent,
    args: [],
    env: { TCTI: options.tpm.tcti, KEYLIME_AGENT_CONFIG: configFile, RUST_LOG: 'info', TSS2_LOG: 'all+NONE' },
  }
}
