/**
 * The whole tower: network, certificate authority, Keylime, SPIRE and any number of hosts, raised side by side where
 * nothing depends on the other.
 *
 * @module
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newLogDir } from '../rig/cache.ts'
import { runCommand } from '../rig/commands.ts'
import { RigError } from '../rig/errors.ts'
import type { Parts } from '../rig/parts.ts'
import { pollUntil } from '../rig/poll.ts'
import { Processes, type ProcessStarter, type RigProcess } from '../rig/processes.ts'
import { newSpireServer, type SpireServer } from '../rig/spire-server.ts'
import { bootPcrs, GOOD_BOOT } from './boot-log.ts'
import { SPIRE_PORT, TowerHost } from './host.ts'
import { DOMAIN, SERVICE_NAMES, SERVICES_IP, towerHosts } from './hosts.ts'
import { runtimePolicy } from './ima-list.ts'
import { KEYLIME_PORTS, KeylimeServices, type Patience, type Policy } from './keylime-services.ts'
import { GOOD_FILES } from './measured-host.ts'
import { Network, type NetworkHost } from './network.ts'
import { OpenBao } from './openbao.ts'
import { installPair, RootCa } from './pki.ts'

/** Programs that only the tower needs. */
export interface TowerParts extends Parts {
  readonly bao: string
}

/** What can differ from one tower to the next. */
export interface TowerOptions {
  readonly parts: TowerParts
  /** Begins the namespaces' names; default `tower`. Two towers stand side by side under different prefixes. */
  readonly prefix?: string
  /** Number of hosts, 1 to 100; default 3. */
  readonly hosts?: number
  /** How long the verifier waits for a silent host; default `short`. */
  readonly patience?: Patience
  /** Keys of the server half's `plugin_data`, besides addresses and files. */
  readonly serverData?: Readonly<Record<string, string | number | boolean | readonly string[]>>
  /** Told about each part as it comes up. */
  readonly onPart?: (what: string, seconds: number) => void
}

/** The policy every host is enrolled with: firmware PCRs pinned, event log and file list evaluated (PCRs 0 to 15). */
export const FULL_POLICY: Policy = {
  tpmPolicy: {
    mask: '0xffff',
    ...Object.fromEntries([0, 4, 7].map((pcr) => [String(pcr), [bootPcrs(GOOD_BOOT).get(pcr) ?? '']])),
  },
  runtimePolicy: runtimePolicy([...GOOD_FILES, { path: 'boot_aggregate', digest: '0'.repeat(64) }]),
  measuredBootPolicy: '{"any": 1}',
}

/** One tower. */
export class Tower {
  readonly dir: string
  readonly logDir: string
  readonly processes: Processes
  readonly network: Network
  readonly root: RootCa
  readonly bao: OpenBao
  readonly keylime: KeylimeServices
  readonly hosts = new Map<string, TowerHost>()
  readonly bundleFile: string
  readonly #options: TowerOptions
  readonly #began = performance.now()
  readonly #running = new Map<string, RigProcess[]>()
  #spire: SpireServer | undefined
  #tpmQueue: Promise<unknown> = Promise.resolve()

  private constructor(options: TowerOptions, prefix: string) {
    process.umask(0o077)
    this.#options = options
    this.dir = mkdtempSync(join(tmpdir(), `${prefix}-`))
    this.logDir = newLogDir(prefix)
    this.processes = new Processes(this.dir, this.logDir)
    this.network = new Network(prefix)
    this.processes.afterwards([process.execPath, join(import.meta.dirname, 'network.ts'), prefix])
    this.bundleFile = join(this.dir, 'bundle.pem')
    this.root = new RootCa(join(this.dir, 'root'))
    this.root.create()
    this.#done('root "Eye of Thundera"')
    this.bao = new OpenBao(
      { dir: join(this.dir, 'openbao'), name: SERVICE_NAMES.openbao, ip: SERVICES_IP, portal: this.#portal('spire') },
      this.root,
    )
    this.keylime = new KeylimeServices(this.on('spire'), {
      dir: join(this.dir, 'keylime'),
      certDir: join(this.dir, 'keylime', 'certs'),
      binDir: options.parts.keylimeBin,
      portal: this.#portal('spire'),
      patience: options.patience ?? 'short',
    })
  }

  /**
   * Raises a tower with all its hosts attested.
   *
   * @throws {RigError} A part does not come up; what had been started is ended again.
   */
  static async up(options: TowerOptions): Promise<Tower> {
    const tower = new Tower(options, options.prefix ?? 'tower')
    try {
      await tower.#raise()
      return tower
    } catch (error) {
      await tower.down()
      throw error
    }
  }

  /** The SPIRE server. */
  get spire(): SpireServer {
    if (this.#spire === undefined) throw new RigError('the SPIRE server was never started')
    return this.#spire
  }

  /** Finds a host by name. */
  host(name: string): TowerHost {
    const host = this.hosts.get(name)
    if (host === undefined) throw new RigError(`no host ${name}; there are ${[...this.hosts.keys()].join(', ')}`)
    return host
  }

  /** Makes a starter whose processes run on a host. */
  on(host: string): ProcessStarter {
    return {
      start: (spec): RigProcess => {
        const [command, ...args] = this.network.on(host, [spec.command, ...(spec.args ?? [])])
        const started = this.processes.start({ ...spec, name: `${host}-${spec.name}`, command, args })
        this.#running.set(host, [...(this.#running.get(host) ?? []), started])
        return started
      },
    }
  }

  /** Ends every process, and removes namespaces and folders; the logs stay. */
  async down(): Promise<void> {
    await Promise.all([...this.hosts.values()].map((host) => host.pause()))
    await this.processes.stopAll()
    this.network.remove()
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Adds a host: TPM, certificates, Keylime agent, enrolment, SPIRE agent. */
  async addHost(): Promise<TowerHost> {
    const host = await this.raiseNext()
    await this.#admit(host)
    return host
  }

  /**
   * Adds the next host with its TPM, booted; nobody knows it yet.
   *
   * @param uuid ID its Keylime agent claims; default: the hash of its EK.
   */
  async raiseNext(uuid?: string): Promise<TowerHost> {
    const description = towerHosts(this.hosts.size + 1).at(-1)
    if (description === undefined) throw new RigError('the tower is full')
    this.network.add(description)
    await this.#openPortal(description.name)
    return this.#raiseHost(description, uuid)
  }

  /**
   * Takes a host out of the tower: its agents end, and the verifier forgets it.
   *
   * @param name Which host.
   */
  async removeHost(name: string): Promise<void> {
    const host = this.host(name)
    await host.pause()
    if (host.registered) await this.keylime.forget(host.agentId)
    await Promise.all((this.#running.get(name) ?? []).map((running) => running.stop()))
    this.#running.delete(name)
    this.network.drop(name)
    this.hosts.delete(name)
  }

  /** Gives a host its certificates and starts its Keylime agent, which registers. */
  async register(host: TowerHost): Promise<void> {
    await host.issueCertificates()
    await host.startKeylimeAgent()
  }

  /** Creates the entry of a host's workload, which runs as root, with a life of a minute. */
  createWorkload(host: TowerHost): Promise<void> {
    return this.spire.createEntry({
      spiffeId: `spiffe://${DOMAIN}/workload/${host.name}`,
      parentId: host.spiffeId,
      selectors: ['unix:uid:0'],
      x509SvidTtl: 60,
      // For clients that know no SPIFFE and check a name.
      dnsNames: [`${host.name}.${DOMAIN}`],
    })
  }

  /**
   * Fetches a JWT-SVID as a workload of a host does.
   *
   * @param host Which host.
   * @param audience Whom it is for.
   * @returns The token.
   */
  async fetchJwt(host: TowerHost, audience: string): Promise<string> {
    const program = join(this.#options.parts.spireBin, 'spire-agent')
    const args = ['api', 'fetch', 'jwt', '-audience', audience, '-socketPath', host.spire.target.socketPath]
    return /^\s+(eyJ\S+)$/m.exec(await runCommand(program, args))?.[1] ?? ''
  }

  /** Unix socket through which the driver sees a host's network. */
  portal(host: string): string {
    return this.#portal(host)
  }

  async #raise(): Promise<void> {
    const descriptions = towerHosts(this.#options.hosts ?? 3)
    this.network.remove()
    this.network.raise()
    for (const description of descriptions) this.network.add(description)
    this.#done(`${descriptions.length} hosts on one bridge, no route out`)
    await Promise.all(descriptions.map(({ name }) => this.#openPortal(name)))
    const tpms = new Map(descriptions.map((description) => [description.name, this.#raiseHost(description)]))
    await this.#raiseAuthority()
    await this.#raiseKeylime()
    const [hosts] = await Promise.all([Promise.all(tpms.values()), this.#raiseSpire()])
    await Promise.all(hosts.map((host) => this.#admit(host)))
  }

  async #openPortal(host: string): Promise<void> {
    const file = join(import.meta.dirname, 'portal.ts')
    const door = this.on(host).start({
      name: 'portal',
      command: process.execPath,
      args: [file, this.#portal(host)],
    })
    await pollUntil(`the portal of ${host}`, () => existsSync(this.#portal(host)), {
      intervalMs: 20,
      logFile: door.logFile,
      abort: () => door.requireRunning(),
    })
  }

  async #raiseAuthority(): Promise<void> {
    const args = this.bao.prepare(this.root)
    const started = this.on('spire').start({ name: 'openbao', command: this.#options.parts.bao, args })
    await this.bao.initialise(() => started.requireRunning())
    await this.bao.makeAuthority(this.root)
    const own = await this.bao.issue({
      role: 'openbao-server',
      commonName: SERVICE_NAMES.openbao,
      ips: [SERVICES_IP, '127.0.0.1'],
      ttl: '720h',
    })
    installPair(own, this.bao.certFile, this.bao.keyFile)
    started.kill('SIGHUP')
    this.#done('OpenBao unsealed, "Book of Omens" and its roles')
  }

  async #raiseKeylime(): Promise<void> {
    const certDir = join(this.dir, 'keylime', 'certs')
    mkdirSync(certDir, { recursive: true, mode: 0o700 })
    writeFileSync(join(certDir, 'ca-complete-chain.crt'), `${this.bao.intermediate.trim()}\n${this.root.certificate()}`)
    for (const name of ['verifier', 'registrar', 'plugin'] as const) await this.issueServiceCertificate(name)
    await Promise.all([this.keylime.start('verifier'), this.keylime.start('registrar')])
    this.#done('Keylime verifier and registrar')
  }

  /**
   * Issues a certificate of a service on host `spire` anew: verifier, registrar, or the server half's client certificate.
   *
   * @param name Which.
   * @param ttl Its life.
   */
  async issueServiceCertificate(name: 'verifier' | 'registrar' | 'plugin', ttl = '24h'): Promise<void> {
    const certDir = join(this.dir, 'keylime', 'certs')
    const names: Readonly<Record<string, string>> = {
      verifier: SERVICE_NAMES.verifier,
      registrar: SERVICE_NAMES.registrar,
      plugin: SERVICE_NAMES.spire,
    }
    const commonName = names[name] ?? ''
    const pair = await this.bao.issue({ role: 'keylime-services', commonName, ips: [SERVICES_IP], ttl })
    installPair(pair, join(certDir, `${name}.crt`), join(certDir, `${name}.key`))
  }

  async #raiseSpire(): Promise<void> {
    const { parts, serverData } = this.#options
    const certDir = join(this.dir, 'keylime', 'certs')
    const dir = join(this.dir, 'spire')
    mkdirSync(dir, { mode: 0o700 })
    this.#spire = await newSpireServer(this.on('spire'), {
      dir,
      binDir: parts.spireBin,
      port: SPIRE_PORT,
      bindAddress: '0.0.0.0',
      trustDomain: DOMAIN,
      agentTtl: '60s',
      svidTtl: '60s',
      plugin: {
        command: parts.serverPlugin,
        data: {
          keylime_verifier_host: SERVICE_NAMES.verifier,
          keylime_verifier_port: String(KEYLIME_PORTS.verifier),
          keylime_registrar_host: SERVICE_NAMES.registrar,
          keylime_registrar_port: String(KEYLIME_PORTS.registrarTls),
          keylime_tls_ca_cert_file: join(certDir, 'ca-complete-chain.crt'),
          keylime_tls_cert_file: join(certDir, 'plugin.crt'),
          keylime_tls_key_file: join(certDir, 'plugin.key'),
          require_ek_uuid: true,
          ek_ca_path: join(this.dir, 'ek-ca'),
          ...serverData,
        },
      },
    })
    await this.#spire.start()
    await this.#spire.writeBundle(this.bundleFile)
    this.#done('SPIRE server with keylime-attestor-server')
  }

  /** TPMs are made one after the other: they share the files of one EK CA. */
  #raiseHost(description: NetworkHost, uuid?: string): Promise<TowerHost> {
    const raised = this.#tpmQueue.then(async () => {
      const host = await TowerHost.raise({
        host: description,
        dir: join(this.dir, 'hosts', description.name),
        parts: this.#options.parts,
        root: this.root,
        bao: this.bao,
        ekCaDir: join(this.dir, 'ek-ca'),
        on: (command) => this.network.on(description.name, command),
        starter: this.on(description.name),
        ...(uuid === undefined ? {} : { uuid }),
      })
      this.hosts.set(description.name, host)
      this.#done(`${description.name}: TPM, boot measured`)
      return host
    })
    this.#tpmQueue = raised
    return raised
  }

  /** Registers, enrols and attests one host. */
  async #admit(host: TowerHost): Promise<void> {
    await this.register(host)
    await this.keylime.enrol(host.agentId, FULL_POLICY)
    await this.createWorkload(host)
    await this.keylime.waitFor(
      host.agentId,
      `the first passed quote of ${host.name}`,
      ({ attestation_count: count }) => count > 0,
    )
    await host.startSpireAgent(this.bundleFile)
    await host.spire.target.healthy()
    this.#done(`${host.name}: attested as ${host.spiffeId}`)
  }

  #portal(host: string): string {
    return join(this.dir, `${host}.portal`)
  }

  #done(what: string): void {
    this.#options.onPart?.(what, (performance.now() - this.#began) / 1000)
  }
}
