/**
 * The certificates of what runs on one site, all from OpenBao, in one folder.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OpenBao, Role } from '../services/openbao.ts'
import { installPair, type RootCa } from '../services/pki.ts'
import { DOMAIN, type Site } from './hosts.ts'

/** Who gets one: `plugin` is the server half, `tenant` the operator, `towerkeep` the operator's tool. */
export type ServiceName = 'verifier' | 'registrar' | 'plugin' | 'tenant' | 'towerkeep'

/** Issues and re-issues them. */
export class ServiceCertificates {
  readonly dir: string
  /** Intermediate and root, PEM. */
  readonly chain: string
  readonly #bao: OpenBao
  readonly #site: Site

  /** @param dir Folder; made if missing. */
  constructor(dir: string, bao: OpenBao, site: Site) {
    this.#site = site
    this.dir = dir
    this.chain = join(dir, 'ca-complete-chain.crt')
    this.#bao = bao
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  /** Writes the anchors and issues the first certificates. */
  async issueAll(root: RootCa): Promise<void> {
    writeFileSync(this.chain, `${this.#bao.intermediate.trim()}\n${root.certificate()}`)
    for (const name of ['verifier', 'registrar', 'plugin', 'tenant', 'towerkeep'] as const) await this.issue(name)
  }

  /** Names a service's certificate. */
  cert(name: ServiceName): string {
    return join(this.dir, `${name}.crt`)
  }

  /** Names a service's key. */
  key(name: ServiceName): string {
    return join(this.dir, `${name}.key`)
  }

  /**
   * Issues a certificate anew and puts it in place.
   *
   * @param wish Its life, default `24h`, and its role, default `keylime-services`: EC P-256.
   */
  async issue(name: ServiceName, wish: { readonly ttl?: string; readonly role?: Role } = {}): Promise<void> {
    const { ttl = '24h', role = 'keylime-services' } = wish
    const { ip, names } = this.#site
    // Keylime's log then names the tool, and its certificate can be withdrawn alone.
    const own = name === 'towerkeep' ? `towerkeep.${DOMAIN}` : names.spire
    const commonName = name === 'verifier' || name === 'registrar' ? names[name] : own
    const pair = await this.#bao.issue({
      role,
      commonName,
      ...(name === 'towerkeep' ? { names: [names.spire] } : {}),
      ips: [ip],
      ttl,
    })
    installPair(pair, this.cert(name), this.key(name))
  }
}
