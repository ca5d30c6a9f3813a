/**
 * The tower's Keylime verifier and registrar, with certificates from OpenBao, and what an administrator asks of them.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import { SERVICE_NAMES, SERVICES_IP } from '../tower/hosts.ts'
import { httpsThrough, type PortalAnswer } from '../tower/through-portal.ts'
import { keylimeConfFiles } from './keylime-conf.ts'

/** Ports as Keylime has them by default. */
export const KEYLIME_PORTS = { verifier: 8881, registrar: 8890, registrarTls: 8891 } as const

/** How patient the verifier is with a host that does not answer. */
export type Patience = 'default' | 'short'

/** Where the services run and with which files. */
export interface KeylimeServicesOptions {
  /** Private folder. */
  readonly dir: string
  /** Folder with `verifier.crt`, `verifier.key`, `registrar.crt`, `registrar.key` and `ca-complete-chain.crt`. */
  readonly certDir: string
  readonly binDir: string
  readonly portal: string
  /** `default`: 62 s until a silent host is failed; `short`: 6 s. */
  readonly patience: Patience
  /** URL of a revocation webhook. */
  readonly webhookUrl?: string
}

/** The verifier's record of one agent, as far as the tower reads it. */
export interface Standing {
  readonly operational_state: number
  readonly attestation_count: number
  readonly last_successful_attestation: number | null
  readonly attestation_status?: string
  readonly last_event_id: string | null
  readonly tpm_policy: string
}

/** A registrar record, as far as enrolment needs it. */
export interface Registered {
  readonly aik_tpm: string
  readonly ek_tpm: string
  readonly mtls_cert: string | null
  readonly ip: string
  readonly port: number
}

/** What to enrol a host with. */
export interface Policy {
  /** `mask` and the values a PCR may have. */
  readonly tpmPolicy: Readonly<Record<string, string | readonly string[]>>
  /** Base64 runtime policy; needs PCR 10 in the mask. */
  readonly runtimePolicy?: string
  /** JSON text of a measured-boot policy; needs PCRs 0 to 9 in the mask. */
  readonly measuredBootPolicy?: string
}

const API = '/v2.6'

/** The two services. */
export class KeylimeServices {
  readonly #starter: ProcessStarter
  readonly #options: KeylimeServicesOptions
  readonly #env: Readonly<Record<string, string>>
  readonly #running = new Map<'verifier' | 'registrar', RigProcess>()

  /**
   * Writes their configuration.
   *
   * @param starter Starts processes on host `spire`.
   * @param options Folders, programs, patience.
   */
  constructor(starter: ProcessStarter, options: KeylimeServicesOptions) {
    this.#starter = starter
    this.#options = options
    this.#env = writeConfiguration(options)
  }

  /** Environment in which `keylime_tenant` finds its configuration. */
  get env(): Readonly<Record<string, string>> {
    return this.#env
  }

  /** Starts one service and waits until it answers. */
  async start(name: 'verifier' | 'registrar'): Promise<void> {
    const process = this.#starter.start({
      name,
      command: join(this.#options.binDir, `keylime_${name}`),
      env: this.#env,
      leftovers: (pid) => [`/run/keylime/shared_data.${pid}.sock`],
    })
    this.#running.set(name, process)
    const ask = name === 'verifier' ? this.verifier.bind(this) : this.registrar.bind(this)
    await pollUntil(`the keylime ${name}`, async () => (await ask('GET', '/version')).status === 200, {
      deadlineMs: 60_000,
      logFile: process.logFile,
      abort: () => process.requireRunning(),
    })
  }

  /** Ends one service. */
  async stop(name: 'verifier' | 'registrar'): Promise<void> {
    await this.#running.get(name)?.stop()
  }

  /**
   * Starts the verifier again with another setting of `enable_agent_mtls`: without it, it enrols agents that speak plain
   * HTTP, and polls the ones it has as they were enrolled.
   *
   * @param agentMtls The setting.
   */
  async restartVerifier(agentMtls: boolean): Promise<void> {
    await this.stop('verifier')
    const file = join(this.#options.dir, 'conf', 'verifier.conf')
    const setting = { enable_agent_mtls: agentMtls ? 'True' : 'False' }
    writeFileSync(file, withSettings(readFileSync(file, 'utf8'), setting))
    await this.start('verifier')
  }

  /** Asks the verifier as its administrator. */
  verifier(method: string, path: string, body?: unknown): Promise<PortalAnswer> {
    return this.#ask(SERVICE_NAMES.verifier, KEYLIME_PORTS.verifier, method, path, body)
  }

  /** Asks the registrar as its administrator. */
  registrar(method: string, path: string, body?: unknown): Promise<PortalAnswer> {
    return this.#ask(SERVICE_NAMES.registrar, KEYLIME_PORTS.registrarTls, method, path, body)
  }

  /** Reads a registrar record; `undefined` before registration. */
  async registered(id: string): Promise<Registered | undefined> {
    return resultsOf(await this.registrar('GET', `${API}/agents/${id}`)) as Registered | undefined
  }

  /** Reads the verifier's record; `undefined` when it does not know the agent. */
  async standing(id: string): Promise<Standing | undefined> {
    return resultsOf(await this.verifier('GET', `${API}/agents/${id}`)) as Standing | undefined
  }

  /**
   * Enrols an agent: safest after {@link forget}, because a record that is replaced while polled is polled twice.
   *
   * @param id Which agent.
   * @param policy What its quotes are compared with.
   * @param change `ip`: where the verifier looks for it; default: where it registered from.
   * @throws {RigError} It is not registered, or the verifier refuses.
   */
  async enrol(id: string, policy: Policy, change: { readonly ip?: string } = {}): Promise<void> {
    const entry = await this.registered(id)
    if (entry === undefined) throw new RigError(`the registrar does not know agent ${id}: is its Keylime agent up?`)
    const answer = await this.verifier('POST', `${API}/agents/${id}`, enrolment({ ...entry, ...change }, policy))
    if (answer.status !== 200) throw new RigError(`cannot enrol ${id}: the verifier answered ${answer.status}`)
  }

  /** Waits until a record satisfies a test. */
  waitFor(id: string, what: string, test: (standing: Standing) => boolean, deadlineMs = 30_000): Promise<Standing> {
    return pollUntil(
      what,
      async () => {
        const standing = await this.standing(id)
        if (standing !== undefined && test(standing)) return standing
        throw new Error(standing === undefined ? 'not enrolled' : `state ${standing.operational_state}`)
      },
      { deadlineMs },
    )
  }

  /** Has the verifier begin anew with an agent it has failed. */
  async reactivate(id: string): Promise<void> {
    const answer = await this.verifier('PUT', `${API}/agents/${id}/reactivate`)
    if (answer.status !== 200) throw new RigError(`cannot reactivate ${id}: the verifier answered ${answer.status}`)
  }

  /** Stops polling an agent and removes its record. */
  async forget(id: string): Promise<void> {
    if ((await this.standing(id)) === undefined) return
    await this.verifier('PUT', `${API}/agents/${id}/stop`)
    await this.waitFor(id, 'the verifier to stop polling', ({ operational_state: state }) => state === 10)
    await this.verifier('DELETE', `${API}/agents/${id}`)
    await pollUntil('the verifier to forget the agent', async () => (await this.standing(id)) === undefined)
  }

  #ask(host: string, port: number, method: string, path: string, body?: unknown): Promise<PortalAnswer> {
    const { portal, certDir } = this.#options
    const read = (name: string): string => readFileSync(join(certDir, name), 'utf8')
    const credentials = { ca: read('ca-complete-chain.crt'), cert: read('verifier.crt'), key: read('verifier.key') }
    return httpsThrough({ portal, host, port, method, path, body, ...credentials })
  }
}

function resultsOf(answer: PortalAnswer): unknown {
  if (answer.status === 404) return undefined
  if (answer.status !== 200) throw new RigError(`keylime answered ${answer.status}`)
  return (answer.body as { results?: unknown }).results
}

function enrolment(entry: Registered, policy: Policy): unknown {
  return {
    v: null,
    cloudagent_ip: entry.ip,
    cloudagent_port: entry.port,
    verifier_ip: SERVICES_IP,
    verifier_port: String(KEYLIME_PORTS.verifier),
    tpm_policy: JSON.stringify(policy.tpmPolicy),
    runtime_policy: policy.runtimePolicy ?? '',
    runtime_policy_name: null,
    runtime_policy_key: '',
    mb_policy: policy.measuredBootPolicy ?? null,
    mb_policy_name: null,
    ima_sign_verification_keys: '',
    metadata: '{}',
    revocation_key: '',
    accept_tpm_hash_algs: ['sha256', 'sha384', 'sha512'],
    accept_tpm_encryption_algs: ['rsa2048', 'rsa', 'ecc'],
    accept_tpm_signing_algs: ['rsassa', 'ecdsa'],
    ak_tpm: entry.aik_tpm,
    mtls_cert: entry.mtls_cert,
    supported_version: '2.6',
  }
}

function writeConfiguration(options: KeylimeServicesOptions): Readonly<Record<string, string>> {
  const stateDir = join(options.dir, 'kl')
  const confDir = join(options.dir, 'conf')
  for (const folder of [stateDir, confDir]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { verifier, registrar, registrarTls } = KEYLIME_PORTS
  const base = { verifierPort: verifier, registrarPort: registrar, registrarTlsPort: registrarTls, quoteInterval: 2 }
  const chain = `["${join(options.certDir, 'ca-complete-chain.crt')}"]`
  const own = (name: string): Record<string, string> => ({
    ip: SERVICES_IP,
    tls_dir: options.certDir,
    server_key: `${name}.key`,
    server_cert: `${name}.crt`,
    trusted_client_ca: chain,
  })
  const changes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'verifier.conf': {
      ...own('verifier'),
      registrar_ip: SERVICES_IP,
      client_key: 'verifier.key',
      client_cert: 'verifier.crt',
      trusted_server_ca: chain,
      ...(options.patience === 'default' ? { exponential_backoff: 'True', retry_interval: '2' } : {}),
      ...(options.webhookUrl === undefined
        ? {}
        : { enabled_revocation_notifications: "['webhook']", webhook_url: options.webhookUrl }),
    },
    'registrar.conf': own('registrar'),
    'tenant.conf': {
      verifier_ip: SERVICES_IP,
      registrar_ip: SERVICES_IP,
      tls_dir: options.certDir,
      client_key: 'tenant.key',
      client_cert: 'tenant.crt',
      trusted_server_ca: chain,
    },
  }
  const env: Record<string, string> = {
    KEYLIME_DIR: stateDir,
    KEYLIME_VERIFIER_MAX_WORKERS: '1',
    KEYLIME_REGISTRAR_MAX_WORKERS: '1',
    PYTHONUNBUFFERED: '1',
  }
  for (const [name, text] of keylimeConfFiles({ dir: stateDir, ...base })) {
    writeFileSync(join(confDir, name), withSettings(text, changes[name] ?? {}), { mode: 0o600 })
    env[`KEYLIME_${name.replace('.conf', '').toUpperCase()}_CONFIG`] = join(confDir, name)
  }
  return env
}

/** Replaces the values of keys that an INI text holds. */
function withSettings(text: string, settings: Readonly<Record<string, string>>): string {
  let changed = text
  for (const [key, value] of Object.entries(settings)) {
    const line = new RegExp(`^${key} *=.*$`, 'm')
    if (!line.test(changed)) throw new RigError(`the configuration has no key ${key} to change`)
    changed = changed.replace(line, () => `${key} = ${value}`)
  }
  return changed
}
