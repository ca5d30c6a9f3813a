/**
 * One host of the tower: TPM, Keylime agent, SPIRE agent, and the certificates that let them talk.
 *
 * @module
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentSpiffeId } from '@tower-of-omens/spire-sdk'
import { Supervised } from '../processes/supervised.ts'
import { writeSelfSigned } from '../services/certificates.ts'
import type { ConfObject } from '../services/hcl-text.ts'
import { type AgentChange, KeylimeAgent } from '../services/keylime-agent.ts'
import { KeylimePushAgent } from '../services/keylime-push-agent.ts'
import { type IssuedPair, installPair } from '../services/pki.ts'
import { agentData, tpmData } from '../services/plugin-data.ts'
import { SpireAgent } from '../services/spire-agent.ts'
import { pluginBlock } from '../services/spire-program.ts'
import type { BootStory } from './boot-log.ts'
import { GOOD_BOOT } from './boot-log.ts'
import { type HostFiles, type HostOptions, hostFiles } from './host-files.ts'
import { AGENT_PORT, type HostKeylimeAgent, startHostAgent } from './host-keylime.ts'
import { DOMAIN } from './hosts.ts'
import { MeasuredHost } from './measured-host.ts'

/** Port of the SPIRE server. */
export const SPIRE_PORT = 8081

/** What can differ from one start of a host's agents to the next. */
export interface SpireAgentChange {
  /** Executable of the agent half. */
  readonly plugin?: string
  /** Keys of its `plugin_data`. */
  readonly data?: ConfObject
  /** Keys of the `agent` block. */
  readonly more?: ConfObject
  /** Keeps the SPIRE agent's keys in the host's TPM; default: in memory. */
  readonly tpmKeys?: boolean
}

/** Which certificates to issue. */
export interface CertificateWish {
  /** Life of the server certificate, such as `24h`. */
  readonly ttl?: string
  readonly role?: 'keylime-agents' | 'keylime-agents-rsa' | 'keylime-agents-aged'
}

/** One host, from its TPM to its SPIRE agent. */
export class TowerHost {
  readonly name: string
  readonly ip: string
  /** Whether the verifier polls it, or it reports to the verifier in push mode. */
  readonly mode: 'pull' | 'push'
  readonly files: HostFiles
  readonly measured: MeasuredHost
  readonly #options: HostOptions
  #agent: HostKeylimeAgent | undefined
  #spire: Supervised<SpireAgent> | undefined

  private constructor(options: HostOptions, files: HostFiles, measured: MeasuredHost) {
    this.name = options.host.name
    this.ip = options.host.ip
    this.mode = options.mode
    this.files = files
    this.measured = measured
    this.#options = options
  }

  /** Manufactures the TPM and boots the host; nothing is registered yet. */
  static async raise(options: HostOptions): Promise<TowerHost> {
    const files = hostFiles(options.dir)
    mkdirSync(files.certDir, { recursive: true, mode: 0o700 })
    const { on, ekCaDir } = options
    const measured = await MeasuredHost.start(options.starter, join(options.dir, 'tpm'), { on, ekCaDir })
    return new TowerHost(options, files, measured)
  }

  /** Whether its Keylime agent has registered. */
  get registered(): boolean {
    return this.#agent !== undefined
  }

  /** The Keylime agent's ID, once it has registered. */
  get agentId(): string {
    return this.#keylimeAgent().agentId()
  }

  /** The SPIRE agent's ID. */
  get spiffeId(): string {
    return agentSpiffeId(DOMAIN, 'keylime', this.agentId)
  }

  /** Which Keylime agent runs: a real one or the stand-in. */
  get agentKind(): 'real' | 'stand-in' {
    return this.#keylimeAgent().kind
  }

  /** Whether its SPIRE agent was ever started. */
  get hasSpireAgent(): boolean {
    return this.#spire !== undefined
  }

  /** Socket of the Workload API, whether or not a SPIRE agent serves it. */
  get workloadSocket(): string {
    return join(this.#options.dir, 'spire', 'workload.sock')
  }

  /** The SPIRE agent with its restarts. */
  get spire(): Supervised<SpireAgent> {
    if (this.#spire === undefined) throw new Error(`${this.name}: the SPIRE agent was never started`)
    return this.#spire
  }

  /**
   * Issues the host's certificates anew: one that only serves, and one that only this host's Keylime agent accepts. The
   * agent half goes on with its old client certificate until {@link installPlugin}.
   *
   * @param wish Life and role of the server certificate; default `24h`, EC.
   * @returns What to install once the Keylime agent trusts it.
   */
  async issueCertificates({ ttl = '24h', role = 'keylime-agents' }: CertificateWish = {}): Promise<IssuedPair> {
    const { bao, root, host } = this.#options
    const { chain, agentCert, agentKey, pluginNext } = this.files
    const agent = await bao.issue({
      role,
      commonName: `${host.name}.${DOMAIN}`,
      names: ['localhost'],
      ips: [host.ip, '127.0.0.1'],
      ttl,
    })
    writeFileSync(chain, `${bao.intermediate.trim()}\n${root.certificate()}`)
    installPair(agent, agentCert, agentKey)
    // What the agent half shows to this host's Keylime agent, and nobody else trusts.
    const keyFile = `${pluginNext}.key`
    await writeSelfSigned({ certFile: pluginNext, keyFile, commonName: `plugin.${host.name}`, usage: 'clientAuth' })
    const cert = readFileSync(pluginNext, 'utf8')
    const plugin = { cert, key: readFileSync(keyFile, 'utf8'), chain: cert }
    rmSync(keyFile)
    if (!existsSync(this.files.pluginCert)) this.installPlugin(plugin)
    return plugin
  }

  /** Puts the agent half's client certificate in place; it reads it by itself. */
  installPlugin(pair: IssuedPair): void {
    installPair(pair, this.files.pluginCert, this.files.pluginKey)
  }

  /**
   * Renews the host's certificates without a moment in which they do not fit: first the Keylime agent serves its new one
   * and trusts the agent half's new one beside the old, then the agent half shows it.
   */
  async renewCertificates(wish: CertificateWish = {}): Promise<void> {
    const plugin = await this.issueCertificates(wish)
    await this.stopKeylimeAgent()
    await this.startKeylimeAgent()
    this.installPlugin(plugin)
  }

  /**
   * Starts the Keylime agent; the first time it registers.
   *
   * @param change Otherwise than before, this once.
   */
  async startKeylimeAgent(change: AgentChange = {}): Promise<void> {
    if (this.#agent instanceof KeylimeAgent) return this.#agent.start(change)
    if (this.#agent !== undefined) return this.#agent.start()
    if (this.mode === 'push') writeFileSync(this.files.root, this.#options.root.certificate())
    const { files, measured } = this
    this.#agent = await startHostAgent({ options: this.#options, files, measured }, change)
  }

  /** Configuration of the Keylime agent, in pull mode. */
  get keylimeConf(): string {
    const agent = this.#keylimeAgent()
    if (agent instanceof KeylimePushAgent) throw new Error(`${this.name}: an agent in push mode is not looked at`)
    return agent.confFile
  }

  /** Ends the Keylime agent. */
  async stopKeylimeAgent(): Promise<void> {
    await this.#agent?.stop()
  }

  /** Lets the Keylime agent hang, its port open, or go on. */
  freezeKeylimeAgent(isFrozen: boolean): void {
    this.#keylimeAgent()
      .process()
      .kill(isFrozen ? 'SIGSTOP' : 'SIGCONT')
  }

  /**
   * Starts the SPIRE agent under supervision: it is started again when it ends.
   *
   * @param bundleFile PEM of the SPIRE server's CA.
   */
  async startSpireAgent(bundleFile: string, change: SpireAgentChange = {}): Promise<void> {
    const { dir, starter, parts } = this.#options
    const { bundle } = this.files
    copyFileSync(bundleFile, bundle)
    const agent = await SpireAgent.configure(starter, {
      dir: join(dir, 'spire'),
      binDir: parts.spireBin,
      serverAddress: this.#options.serverName,
      serverPort: SPIRE_PORT,
      trustDomain: DOMAIN,
      bundleFile: bundle,
      ...(change.tpmKeys === true ? { keyManager: await this.#tpmKeys() } : {}),
      more: { experimental: { sync_interval: '1s' }, rebootstrap_mode: 'auto', ...change.more },
      plugin: {
        command: change.plugin ?? parts.agentPlugin,
        data: {
          ...this.#evidenceData(),
          ...change.data,
        },
      },
    })
    await this.#spire?.pause()
    this.#spire = new Supervised(`${this.name}'s SPIRE agent`, agent)
    this.#spire.start()
  }

  /** Ends the SPIRE agent and the Keylime agent for good. */
  async pause(): Promise<void> {
    await this.#spire?.pause()
    await this.stopKeylimeAgent()
  }

  /**
   * Reboots the host: an orderly shutdown, an absence, the same or another boot.
   *
   * @param options `how`: orderly or by pulling the plug; `story`: what boots; `log`: what its event log claims;
   *   `awayMs`: milliseconds without power.
   */
  async reboot(
    options: {
      readonly how?: 'shutdown' | 'power cut'
      readonly story?: BootStory
      readonly log?: BootStory
      readonly away?: Promise<void>
    } = {},
  ): Promise<void> {
    await this.#spire?.pause()
    await this.stopKeylimeAgent()
    await this.measured.tpm.stop(options.how ?? 'shutdown')
    await options.away
    await this.measured.tpm.start()
    const story = options.story ?? GOOD_BOOT
    await this.measured.boot(story, options.log ?? story)
    await this.startKeylimeAgent()
    this.#spire?.start()
  }

  /** Gathers what the agent half must be told: in push mode nobody could be asked for a quote but the TPM. */
  #evidenceData(): ConfObject {
    if (this.#agent instanceof KeylimePushAgent) return tpmData(this.measured.tpm.path, this.#agent.keyFile)
    const { chain, pluginCert, pluginKey } = this.files
    return agentData(AGENT_PORT, { ca: chain, cert: pluginCert, key: pluginKey })
  }

  async #tpmKeys(): Promise<ConfObject> {
    const data = { directory: this.files.tpmKeys, tpm_path: this.measured.tpm.path }
    return { 'KeyManager "tpm"': await pluginBlock({ command: this.#options.parts.tpmKeys, data }) }
  }

  #keylimeAgent(): HostKeylimeAgent {
    if (this.#agent === undefined) throw new Error(`${this.name}: the Keylime agent was never started`)
    return this.#agent
  }
}
