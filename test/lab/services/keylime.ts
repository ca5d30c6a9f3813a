/**
 * Keylime's verifier and registrar, and their administrator.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pollUntil } from '../processes/poll.ts'
import { freePorts } from '../processes/ports.ts'
import { makePrivate } from '../processes/private-files.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import { KeylimeAdmin, type KeylimeService } from './keylime-admin.ts'
import { type KeylimeConfOptions, type KeylimePorts, keylimeConfFiles } from './keylime-conf.ts'

/** Where the services run, and with which files. */
export interface KeylimeOptions extends Omit<KeylimeConfOptions, 'stateDir' | 'settings'> {
  /** Private folder. */
  readonly dir: string
  /** Folder with keylime_verifier and keylime_registrar. */
  readonly binDir: string
  /** Folder with their certificates, and with the administrator's. */
  readonly certDir: string
  /** Names of the administrator's files there. */
  readonly administrator: { readonly ca: string; readonly cert: string; readonly key: string }
  /** Names that the services are called by; default: 127.0.0.1. */
  readonly hosts?: Readonly<Record<KeylimeService, string>>
  /** Unix socket of a portal into their network. */
  readonly portal?: string
  /** Values of the configuration files, asked for at each start. */
  readonly settings?: () => KeylimeConfOptions['settings']
  /** Folder of more Python packages. */
  readonly pythonPath?: string
  /** Begins the names of their logs, where two run on one host; default: none. */
  readonly name?: string
}

/** What a test may choose for services with a CA of their own. */
export interface OwnKeylimeOptions
  extends Pick<KeylimeOptions, 'dir' | 'binDir' | 'quoteInterval' | 'agentMtls' | 'mode'> {}

/** What can differ from one start of a service to the next. */
export interface KeylimeChange {
  readonly agentMtls?: boolean
  readonly notifiers?: readonly string[]
}

/** The two services. */
export class Keylime {
  readonly ports: KeylimePorts
  readonly certDir: string
  readonly admin: KeylimeAdmin
  /** Environment in which they, and keylime_tenant, find their configuration. */
  readonly env: Readonly<Record<string, string>>
  readonly #starter: ProcessStarter
  readonly #options: KeylimeOptions
  readonly #stateDir: string
  readonly #confDir: string
  readonly #running = new Map<KeylimeService, RigProcess>()
  #agentMtls: boolean
  #notifiers: readonly string[] | undefined

  /** Writes their configuration. */
  constructor(starter: ProcessStarter, options: KeylimeOptions) {
    this.#starter = starter
    this.#options = options
    this.#agentMtls = options.agentMtls ?? true
    this.ports = options.ports
    this.certDir = options.certDir
    this.#stateDir = join(options.dir, 'kl')
    this.#confDir = join(options.dir, 'conf')
    for (const folder of [this.#stateDir, this.#confDir]) mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.env = this.#configure()
    const { hosts = { verifier: '127.0.0.1', registrar: '127.0.0.1' }, portal, administrator } = options
    const at = (name: string): string => join(options.certDir, name)
    this.admin = new KeylimeAdmin({
      services: {
        verifier: { host: hosts.verifier, port: options.ports.verifier },
        registrar: { host: hosts.registrar, port: options.ports.registrarTls },
      },
      ...(portal === undefined ? {} : { portal }),
      files: { caFile: at(administrator.ca), certFile: at(administrator.cert), keyFile: at(administrator.key) },
    })
  }

  /**
   * Starts both on free ports, with the CA that the verifier makes for itself.
   *
   * @throws {RigError} One of them ends, or does not answer within 90 s.
   */
  static async startWithOwnCa(starter: ProcessStarter, options: OwnKeylimeOptions): Promise<Keylime> {
    const [verifier, registrar] = [await freePorts(), await freePorts(2)]
    const keylime = new Keylime(starter, {
      ...options,
      ports: { verifier, registrar, registrarTls: registrar + 1 },
      certDir: join(options.dir, 'kl', 'cv_ca'),
      administrator: { ca: 'cacert.crt', cert: 'client-cert.crt', key: 'client-private.pem' },
    })
    await keylime.start('verifier')
    await makePrivate(keylime.certDir)
    await keylime.start('registrar')
    return keylime
  }

  /**
   * Starts one service, on the port and database it had, and waits until it answers.
   *
   * @param change `agentMtls`: another setting of `enable_agent_mtls` from now on; without it the verifier enrols agents
   *   that speak plain HTTP, and polls the ones it has as they were enrolled. `notifiers`: others from now on than the
   *   settings name; empty: those of the settings again.
   */
  async start(service: KeylimeService, change: KeylimeChange = {}): Promise<void> {
    this.#agentMtls = change.agentMtls ?? this.#agentMtls
    if (change.notifiers !== undefined) this.#notifiers = change.notifiers.length === 0 ? undefined : change.notifiers
    this.#configure()
    const { name } = this.#options
    const process = this.#starter.start({
      name: name === undefined ? service : `${name}-${service}`,
      command: join(this.#options.binDir, `keylime_${service}`),
      env: this.env,
      cwd: this.#stateDir,
      // Its workers, but no program that judges a boot log for one: that would be told as a failed measurement.
      told: 'same program',
      leftovers: (pid) => [`/run/keylime/shared_data.${pid}.sock`],
    })
    this.#running.set(service, process)
    await pollUntil(`the keylime ${service} to answer`, () => this.admin.agentIds(service), {
      deadlineMs: 90_000,
      logFile: process.logFile,
      abort: () => process.requireRunning(),
    })
  }

  /** Ends one service. */
  async stop(service: KeylimeService): Promise<void> {
    await this.#running.get(service)?.stop()
  }

  #configure(): Readonly<Record<string, string>> {
    const { settings, pythonPath, ...options } = this.#options
    const env: Record<string, string> = {
      KEYLIME_DIR: this.#stateDir,
      KEYLIME_VERIFIER_MAX_WORKERS: '1',
      KEYLIME_REGISTRAR_MAX_WORKERS: '1',
      PYTHONUNBUFFERED: '1',
      // Where its sockets go when this user may not write to /run/keylime.
      XDG_RUNTIME_DIR: this.#stateDir,
      ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }),
    }
    const changed = this.#withNotifiers(settings?.())
    const given = changed === undefined ? {} : { settings: changed }
    for (const [name, text] of keylimeConfFiles({
      ...options,
      ...given,
      stateDir: this.#stateDir,
      agentMtls: this.#agentMtls,
    })) {
      const file = join(this.#confDir, `${name}.conf`)
      writeFileSync(file, text, { mode: 0o600 })
      // It replaces every other configuration file of that component.
      env[`KEYLIME_${name.toUpperCase()}_CONFIG`] = file
    }
    return env
  }

  #withNotifiers(settings: KeylimeConfOptions['settings']): KeylimeConfOptions['settings'] {
    if (this.#notifiers === undefined) return settings
    const named = `[${this.#notifiers.map((name) => `'${name}'`).join(', ')}]`
    return { ...settings, verifier: { ...settings?.verifier, enabled_revocation_notifications: named } }
  }
}
