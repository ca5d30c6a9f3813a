/**
 * The whole tower: network, certificate authority, Keylime, SPIRE and any number of hosts, raised side by side where
 * nothing depends on the other.
 *
 * @module
 */
import { join } from 'node:path'
import { RigError } from '../processes/errors.ts'
import type { Processes, ProcessStarter } from '../processes/processes.ts'
import type { Keylime } from '../services/keylime.ts'
import { OpenBao } from '../services/openbao.ts'
import { RootCa } from '../services/pki.ts'
import type { Postgresql } from '../services/postgresql.ts'
import type { SpireServer } from '../services/spire-server.ts'
import { raiseAuthority } from './authority.ts'
import { raiseDatabase } from './database.ts'
import { FULL_POLICY, PUSH_POLICY } from './full-policy.ts'
import { Ground } from './ground.ts'
import { TowerHost } from './host.ts'
import {
  DOMAIN,
  FIRST_SITE,
  SECOND_SITE,
  SERVICE_NAMES,
  SERVICES_IP,
  type Site,
  SPIRE_SERVERS_NAME,
  siteHost,
  towerHosts,
} from './hosts.ts'
import type { Network, NetworkHost } from './network.ts'
import type { ServerConfOptions } from './server-conf.ts'
import type { ServiceCertificates } from './service-certificates.ts'
import { ServiceSite } from './service-site.ts'
import type { HostClaim, TowerOptions } from './tower-options.ts'

/** One tower. */
export class Tower {
  /** Folder of everything but the logs. */
  readonly dir: string
  readonly logDir: string
  readonly processes: Processes
  readonly network: Network
  readonly root: RootCa
  readonly bao: OpenBao
  readonly first: ServiceSite
  readonly second: ServiceSite | undefined
  readonly hosts = new Map<string, TowerHost>()
  readonly #ground: Ground
  readonly #options: TowerOptions
  readonly #began = performance.now()
  #database: Postgresql | undefined
  #tpmQueue: Promise<unknown> = Promise.resolve()

  private constructor(options: TowerOptions, prefix: string) {
    this.#options = options
    const ground = new Ground(prefix)
    this.#ground = ground
    this.dir = ground.dir
    this.logDir = ground.logDir
    this.processes = ground.processes
    this.network = ground.network
    this.root = new RootCa(join(this.dir, 'root'))
    this.root.create()
    this.#done('root "Eye of Thundera"')
    this.bao = new OpenBao(
      { dir: join(this.dir, 'openbao'), name: SERVICE_NAMES.openbao, ip: SERVICES_IP, portal: this.portal('spire') },
      this.root,
    )
    this.first = this.#site(FIRST_SITE)
    this.second = options.twoSites === true ? this.#site(SECOND_SITE) : undefined
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

  /** SPIRE's bundle, PEM, where new hosts get it from: the first site's keeper holds it up to date. */
  get bundleFile(): string {
    return this.first.bundleFile
  }

  /** Certificates of the first site. */
  get certificates(): ServiceCertificates {
    return this.first.certificates
  }

  /** Keylime of the first site. */
  get keylime(): Keylime {
    return this.first.keylime
  }

  /** SPIRE server of the first site. */
  get spire(): SpireServer {
    return this.first.spire
  }

  /** The PostgreSQL that two sites share. */
  get database(): Postgresql {
    if (this.#database === undefined) throw new RigError('a tower of one site has no PostgreSQL')
    return this.#database
  }

  /**
   * Finds the Keylime whose verifier judges a host: in push mode the one that it reports to; of two sites, each polls every
   * other host.
   */
  keylimeOf(host: TowerHost): Keylime {
    if (host.mode === 'push' && this.first.pushKeylime !== undefined) return this.first.pushKeylime
    const index = [...this.hosts.keys()].indexOf(host.name)
    return (index % 2 === 1 ? this.second : undefined)?.keylime ?? this.keylime
  }

  /** Finds a host by name. */
  host(name: string): TowerHost {
    const host = this.hosts.get(name)
    if (host === undefined) throw new RigError(`no host ${name}; there are ${[...this.hosts.keys()].join(', ')}`)
    return host
  }

  /** Makes a starter whose processes run on a host. */
  on(host: string): ProcessStarter {
    return this.#ground.on(host)
  }

  /** Ends every process, and removes namespaces and folders; the logs stay. */
  async down(): Promise<void> {
    await Promise.all([...this.hosts.values()].map((host) => host.pause()))
    await this.#ground.clear()
  }

  /** Adds a host: TPM, certificates, Keylime agent, enrolment, SPIRE agent. */
  async addHost(): Promise<TowerHost> {
    const host = await this.raiseNext()
    await this.admit(host)
    return host
  }

  /**
   * Adds the next host with its TPM, booted; nobody knows it yet.
   *
   * @param claim ID its Keylime agent claims, by default the hash of its EK, and whether the agent is the stand-in in any
   *   case: who claims another host's ID is free to choose.
   */
  async raiseNext(claim: HostClaim = {}): Promise<TowerHost> {
    const description = towerHosts(this.hosts.size + 1).at(-1)
    if (description === undefined) throw new RigError('the tower is full')
    this.network.add(description)
    await this.#ground.openPortal(description.name)
    return this.#raiseHost(description, claim)
  }

  /** Takes a host out of the tower: its agents end, and the verifier forgets it. */
  async removeHost(name: string): Promise<void> {
    const host = this.host(name)
    await host.pause()
    if (host.registered) await this.keylimeOf(host).admin.unenrol(host.agentId)
    await this.#ground.drop(name)
    this.hosts.delete(name)
  }

  /** Gives a host its certificates, where it needs any, and starts its Keylime agent, which registers. */
  async register(host: TowerHost): Promise<void> {
    if (host.mode === 'pull') await host.issueCertificates()
    await host.startKeylimeAgent()
  }

  /** Enrols a host at its verifier, with the policy of its mode, and waits for the first quote that passes. */
  async enrol(host: TowerHost): Promise<void> {
    const { admin } = this.keylimeOf(host)
    if (host.mode === 'push') await admin.enrol(host.agentId, PUSH_POLICY, 'none')
    else await admin.enrol(host.agentId, FULL_POLICY)
    await admin.waitForQuotes(host.agentId)
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

  /** What the SPIRE server's configuration is made from. */
  serverConf(): ServerConfOptions {
    return this.first.serverConf()
  }

  /** Starts the SPIRE server again, on the same data, with another server half. */
  async replaceServerHalf(plugin: string): Promise<void> {
    await this.spire.stop()
    await this.first.startSpire(plugin)
  }

  /** Unix socket through which the driver sees a host's network. */
  portal(host: string): string {
    return this.#ground.portal(host)
  }

  async #raise(): Promise<void> {
    const descriptions = towerHosts(this.#options.hosts ?? 3)
    this.#ground.raise(descriptions)
    this.#done(`${descriptions.length} hosts on one bridge, no route out`)
    if (this.second !== undefined) this.network.add(siteHost(SECOND_SITE))
    const named = this.second === undefined ? descriptions : [...descriptions, siteHost(SECOND_SITE)]
    await Promise.all(named.map(({ name }) => this.#ground.openPortal(name)))
    const tpms = new Map(descriptions.map((description) => [description.name, this.#raiseHost(description)]))
    await raiseAuthority(this.bao, this.root, this.on('spire'), this.#options.parts.bao)
    this.#done('OpenBao unsealed, "Book of Omens" and its roles')
    await this.#raiseKeylime()
    const [hosts] = await Promise.all([Promise.all(tpms.values()), this.#raiseSpire()])
    await Promise.all(hosts.map((host) => this.admit(host)))
  }

  async #raiseKeylime(): Promise<void> {
    if (this.second !== undefined) {
      this.#database = await raiseDatabase(this.on('spire'), this.dir)
      this.#done('PostgreSQL')
    }
    // One after the other: the first registrar makes the tables that the second one uses.
    await this.first.startKeylime(this.#database)
    await this.second?.startKeylime(this.#database)
    this.#done('Keylime verifier and registrar')
  }

  async #raiseSpire(): Promise<void> {
    await this.first.startSpire()
    await this.second?.startSpire()
    this.#done('SPIRE server with keylime-attestor-server and bundle-publisher-keeper')
  }

  #site(site: Site): ServiceSite {
    const { dir, bao, root } = this
    const place = { dir, bao, root, starter: this.on(site.host), portal: this.portal(site.host) }
    return new ServiceSite({ ...place, site, tower: this.#options })
  }

  /** TPMs are made one after the other: they share the files of one EK CA. */
  #raiseHost(description: NetworkHost, { uuid, standIn = false }: HostClaim = {}): Promise<TowerHost> {
    const raised = this.#tpmQueue.then(async () => {
      const host = await TowerHost.raise({
        host: description,
        mode: this.#options.push?.includes(description.name) === true ? 'push' : 'pull',
        dir: join(this.dir, 'hosts', description.name),
        parts: standIn ? { ...this.#options.parts, realAgent: undefined } : this.#options.parts,
        root: this.root,
        bao: this.bao,
        ekCaDir: join(this.dir, 'ek-ca'),
        on: (command) => this.network.on(description.name, command),
        starter: this.on(description.name),
        serverName: this.second === undefined ? SERVICE_NAMES.spire : SPIRE_SERVERS_NAME,
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
  async admit(host: TowerHost): Promise<void> {
    await this.register(host)
    await Promise.all([this.enrol(host), this.createWorkload(host)])
    await host.startSpireAgent(this.bundleFile)
    await host.spire.target.healthy()
    this.#done(`${host.name}: attested as ${host.spiffeId}`)
  }

  #done(what: string): void {
    this.#options.onPart?.(what, (performance.now() - this.#began) / 1000)
  }
}
