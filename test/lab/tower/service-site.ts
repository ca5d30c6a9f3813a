/**
 * One site of services: a Keylime and a SPIRE server with their certificates, on one host. A tower has one or two.
 *
 * @module
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter } from '../processes/processes.ts'
import type { ConfObject } from '../services/hcl-text.ts'
import { Keylime, type KeylimeOptions } from '../services/keylime.ts'
import type { OpenBao } from '../services/openbao.ts'
import type { RootCa } from '../services/pki.ts'
import type { Postgresql } from '../services/postgresql.ts'
import { SpireServer } from '../services/spire-server.ts'
import { bundleFileOf, bundleKeeper } from './bundle-keeper.ts'
import { FIRST_SITE, KEYLIME_PORTS, PUSH_VERIFIER_PORT, type Site } from './hosts.ts'
import { keylimeSettings } from './keylime-settings.ts'
import { type ServerConfOptions, serverOptions } from './server-conf.ts'
import { ServiceCertificates } from './service-certificates.ts'
import type { TowerOptions } from './tower-options.ts'

/** How often a host in push mode reports. */
const PUSH_INTERVAL_SECONDS = 5

/** What a site needs of the tower around it. */
export interface ServiceSiteOptions {
  readonly site: Site
  /** Folder of the tower. */
  readonly dir: string
  readonly bao: OpenBao
  readonly root: RootCa
  /** Starts processes on the site's host. */
  readonly starter: ProcessStarter
  /** Unix socket of that host's portal. */
  readonly portal: string
  readonly tower: TowerOptions
}

/** The services of one site. */
export class ServiceSite {
  readonly site: Site
  readonly certificates: ServiceCertificates
  readonly keylime: Keylime
  /** The verifier in push mode, beside the same registrar; only on the first site, and where a host is in push mode. */
  readonly pushKeylime: Keylime | undefined
  readonly #options: ServiceSiteOptions
  #database: Postgresql | undefined
  #spire: SpireServer | undefined

  /** @param options Site, folder, tower. */
  constructor(options: ServiceSiteOptions) {
    const { site, dir, bao, tower } = options
    this.#options = options
    this.site = site
    const folder = join(dir, `keylime${site.suffix}`)
    this.certificates = new ServiceCertificates(join(folder, 'certs'), bao, site)
    this.keylime = this.#configure({ dir: folder, ports: KEYLIME_PORTS })
    const ports = { ...KEYLIME_PORTS, verifier: PUSH_VERIFIER_PORT }
    const push = {
      dir: `${folder}-push`,
      ports,
      mode: 'push',
      quoteInterval: PUSH_INTERVAL_SECONDS,
      name: 'push',
    } as const
    this.pushKeylime = site === FIRST_SITE && (tower.push ?? []).length > 0 ? this.#configure(push) : undefined
  }

  #configure(own: Pick<KeylimeOptions, 'dir' | 'ports' | 'mode' | 'quoteInterval' | 'name'>): Keylime {
    const { site, starter, portal, tower } = this.#options
    return new Keylime(starter, {
      ...own,
      certDir: this.certificates.dir,
      administrator: { ca: 'ca-complete-chain.crt', cert: 'verifier.crt', key: 'verifier.key' },
      binDir: tower.parts.keylimeBin,
      hosts: site.names,
      portal,
      settings: () => keylimeSettings(this.certificates, site, tower, this.#database),
      pythonPath: tower.parts.pythonPackages,
    })
  }

  /** The SPIRE server. */
  get spire(): SpireServer {
    if (this.#spire === undefined) throw new RigError('the SPIRE server was never started')
    return this.#spire
  }

  /** Issues the certificates and starts verifiers and registrar; the registrar on a shared database where there is one. */
  async startKeylime(database?: Postgresql): Promise<void> {
    this.#database = database
    await this.certificates.issueAll(this.#options.root)
    await Promise.all([
      this.keylime.start('verifier'),
      this.keylime.start('registrar'),
      this.pushKeylime?.start('verifier'),
    ])
  }

  /**
   * Starts the SPIRE server, on the data it has.
   *
   * @param plugin Executable of the server half; default: ours.
   */
  async startSpire(plugin?: string): Promise<void> {
    const { starter } = this.#options
    mkdirSync(this.spireDir, { recursive: true, mode: 0o700 })
    const options = { ...serverOptions(this.serverConf(), plugin), morePlugins: await this.#keeper() }
    const datastore = this.#database?.datastore('spire')
    this.#spire = await SpireServer.configure(starter, datastore === undefined ? options : { ...options, datastore })
    await this.#spire.start()
    await pollUntil('the bundle that the keeper writes', () => existsSync(this.bundleFile), { deadlineMs: 30_000 })
  }

  #keeper(): Promise<ConfObject> {
    const { bao, tower } = this.#options
    const { spireDir, certificates } = this
    return bundleKeeper({ spireDir, bao, caFile: certificates.chain, program: tower.parts.keeper })
  }

  /** SPIRE's bundle, PEM, as the keeper keeps it. */
  get bundleFile(): string {
    return bundleFileOf(this.spireDir)
  }

  /** Folder of the SPIRE server. */
  get spireDir(): string {
    return join(this.#options.dir, `spire${this.site.suffix}`)
  }

  /** Gathers what the SPIRE server's configuration is made from. */
  serverConf(): ServerConfOptions {
    const { dir, tower } = this.#options
    return { dir, spireDir: this.spireDir, certificates: this.certificates, options: tower }
  }
}
