/**
 * One host with real parts: software TPM, Keylime verifier, registrar and agent, SPIRE server and agent with our
 * plugins. `make demo` and test/e2e share it.
 *
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { agentSpiffeId } from '@tower-of-omens/spire-sdk'
import { newLogDir } from '../parts/cache.ts'
import type { Parts } from '../parts/parts.ts'
import { RigError } from '../processes/errors.ts'
import { freePorts } from '../processes/ports.ts'
import { Processes } from '../processes/processes.ts'
import { writeSelfSigned } from '../services/certificates.ts'
import { Keylime } from '../services/keylime.ts'
import type { EnrolmentPolicy } from '../services/keylime-admin.ts'
import { KeylimeAgent } from '../services/keylime-agent.ts'
import { KeylimePushAgent } from '../services/keylime-push-agent.ts'
import type { SpireAgent } from '../services/spire-agent.ts'
import type { SpireServer } from '../services/spire-server.ts'
import { Swtpm } from '../services/swtpm.ts'
import { type AgentChange, type ServerChange, SpireMaker, TRUST_DOMAIN } from './spire-maker.ts'

/** The PCR that the default policy pins and that `tamper` extends; on PCs it holds the Secure Boot policy. */
export const PINNED_PCR = 7

/** Where the agent half takes its evidence. */
export type Evidence = 'keylime-agent' | 'tpm'

/** How a verifier and Keylime agents find each other. */
export type Mode = 'pull' | 'push'

/** The Keylime agent of either mode. */
export type AnyKeylimeAgent = KeylimeAgent | KeylimePushAgent

/** What can differ from one rig to the next. */
export interface RigOptions {
  /** For the log folder: "demo", or the test file's name. */
  readonly name: string
  readonly parts: Parts
  /** "hash_ek" (default), or the Keylime agent's ID itself. */
  readonly uuid?: string
  /** Seconds between two quotes; default 2, as Keylime's. */
  readonly quoteInterval?: number
  /** False: Keylime agent and verifier begin on plain HTTP, with enable_agent_mtls = false. */
  readonly agentMtls?: boolean
  /** Where the agent half takes its evidence; default the Keylime agent. In push mode always the TPM. */
  readonly evidence?: Evidence
  /** Whether Keylime agents report to the verifier; default `pull`, it asks them. */
  readonly mode?: Mode
  /** How the first SPIRE server and agent differ from the default. */
  readonly server?: ServerChange
  readonly agent?: AgentChange
  /** Told about each part as it comes up. */
  readonly onPart?: (what: string) => void
}

interface RigParts {
  readonly tpm: Swtpm
  readonly keylime: Keylime
  readonly keylimeAgent: AnyKeylimeAgent
  readonly spireServer: SpireServer
  readonly spireAgent: SpireAgent
  readonly maker: SpireMaker
  readonly mode: Mode
}

/** A running host: Keylime agent registered but not enrolled, SPIRE server up, SPIRE agent not started. */
export class Rig {
  readonly dir: string
  readonly parts: Parts
  readonly processes: Processes
  readonly logDir: string
  readonly tpm: Swtpm
  readonly keylime: Keylime
  readonly keylimeAgent: AnyKeylimeAgent
  readonly mode: Mode
  readonly spireServer: SpireServer
  readonly spireAgent: SpireAgent
  /** The Keylime agent's ID. */
  readonly agentId: string
  /** The SPIRE agent's SPIFFE ID once it is attested. */
  readonly spiffeId: string
  readonly #maker: SpireMaker

  private constructor(dir: string, processes: Processes, parts: Parts, running: RigParts) {
    this.dir = dir
    this.parts = parts
    this.processes = processes
    this.logDir = processes.logDir
    this.tpm = running.tpm
    this.keylime = running.keylime
    this.keylimeAgent = running.keylimeAgent
    this.mode = running.mode
    this.spireServer = running.spireServer
    this.spireAgent = running.spireAgent
    this.agentId = running.keylimeAgent.agentId()
    this.spiffeId = agentSpiffeId(TRUST_DOMAIN, 'keylime', this.agentId)
    this.#maker = running.maker
  }

  /**
   * Starts a host.
   *
   * @throws {RigError} A part does not come up; what had been started is ended again.
   */
  static async start(options: RigOptions): Promise<Rig> {
    process.umask(0o077)
    const dir = mkdtempSync(join(shortTmpDir(), 'tower-of-omens-'))
    const processes = new Processes(dir, newLogDir(options.name))
    try {
      return new Rig(dir, processes, options.parts, await startParts(options, dir, processes))
    } catch (error) {
      await end(dir, processes)
      throw error
    }
  }

  /** Gives the Keylime agent of a host in pull mode. */
  pullAgent(): KeylimeAgent {
    if (this.keylimeAgent instanceof KeylimeAgent) return this.keylimeAgent
    throw new RigError('this host is in push mode: its Keylime agent has no port')
  }

  /** Configures another server. */
  newServer(change?: ServerChange): Promise<SpireServer> {
    return this.#maker.newServer(change)
  }

  /** Configures another agent of a running server. */
  newAgent(server: SpireServer, change?: AgentChange): Promise<SpireAgent> {
    return this.#maker.newAgent(server, change)
  }

  /**
   * Enrols the Keylime agent at the verifier.
   *
   * @param options `policy`: TPM policy, by default PCR 7 pinned to its present value; `wait`: whether for the first
   *   passed quote, default true; `port`: where the verifier finds the agent.
   */
  async enrol({
    policy,
    wait = true,
    port,
  }: {
    readonly port?: number
    readonly policy?: EnrolmentPolicy['tpmPolicy']
    readonly wait?: boolean
  } = {}): Promise<void> {
    const mask = `0x${(1 << PINNED_PCR).toString(16)}`
    const tpmPolicy = policy ?? { mask, [PINNED_PCR]: [await this.tpm.readPcr(PINNED_PCR)] }
    const contact = this.mode === 'push' ? 'none' : port === undefined ? {} : { port }
    await this.keylime.admin.enrol(this.agentId, { tpmPolicy }, contact)
    if (wait) await this.keylime.admin.waitForQuotes(this.agentId)
  }

  /** Extends the pinned PCR and waits until Keylime has failed the node for it. */
  async tamper(): Promise<AgentRecord> {
    await this.tpm.extendPcr(PINNED_PCR, createHash('sha256').update(`tampered ${randomUUID()}`).digest('hex'))
    if (this.mode === 'pull') return this.keylime.admin.waitForState(this.agentId, 'rejected')
    return this.keylime.admin.waitFor(this.agentId, `agent ${this.agentId} to FAIL`, hasFailed)
  }

  /** Restarts the TPM with its Keylime agent, as a reboot does: PCRs begin at zero again, and the firmware measures. */
  async reboot(): Promise<void> {
    await this.keylimeAgent.stop()
    await this.tpm.reboot()
    await measureBoot(this.tpm)
    await this.keylimeAgent.start()
  }

  /** Creates the entry of a workload that runs as this user, below the agent; returns its SPIFFE ID. */
  async createWorkload(name: string, ttlSeconds?: number): Promise<string> {
    const spiffeId = `spiffe://${TRUST_DOMAIN}/workload/${name}`
    await this.spireServer.createEntry({
      spiffeId,
      parentId: this.spiffeId,
      selectors: [`unix:uid:${userInfo().uid}`],
      ...(ttlSeconds === undefined ? {} : { x509SvidTtl: ttlSeconds }),
    })
    return spiffeId
  }

  /** Ends every process and removes the work folder; the logs stay. */
  stop(): Promise<void> {
    return end(this.dir, this.processes)
  }

  /** Writes what `stop.ts` needs to end a host that is left running, and lets go of it. */
  async keep(): Promise<void> {
    const state = { logDir: this.logDir, groups: this.processes.groups() }
    await writeFile(join(this.dir, 'rig.json'), JSON.stringify(state, undefined, 2), { mode: 0o600 })
    this.processes.keep()
  }
}

function hasFailed({ attestationStatus }: AgentRecord): boolean {
  return attestationStatus === 'FAIL'
}

/** What a good firmware measures into the pinned PCR: one that is still zero would pin nothing. */
async function measureBoot(tpm: Swtpm): Promise<void> {
  await tpm.extendPcr(PINNED_PCR, createHash('sha256').update('the Secure Boot policy of the rig').digest('hex'))
}

async function end(dir: string, processes: Processes): Promise<void> {
  await processes.stopAll()
  rmSync(dir, { recursive: true, force: true })
}

/** A Unix socket's path holds 107 characters, and go-plugin's lie three folders down. */
function shortTmpDir(): string {
  return tmpdir().length <= 30 ? tmpdir() : '/tmp'
}

async function startParts(options: RigOptions, dir: string, processes: Processes): Promise<RigParts> {
  const { parts, onPart = () => {}, mode = 'pull', quoteInterval = mode === 'push' ? 5 : 2, agentMtls = true } = options
  const evidence = mode === 'push' ? 'tpm' : (options.evidence ?? 'keylime-agent')
  const folder = (name: string): string => join(dir, name)
  const client = { certFile: folder('plugin.crt'), keyFile: folder('plugin.key') }
  await mkdir(folder('tpm'), { mode: 0o700 })
  const [tpm, keylime] = await Promise.all([
    Swtpm.start(processes, { dir: folder('tpm') }),
    Keylime.startWithOwnCa(processes, {
      dir: folder('keylime'),
      binDir: parts.keylimeBin,
      quoteInterval,
      agentMtls,
      mode,
    }),
    writeSelfSigned({ ...client, commonName: 'spire-agent', usage: 'clientAuth' }),
  ])
  await measureBoot(tpm)
  onPart('a software TPM; the Keylime verifier and registrar')

  const agentDir = folder('keylime-agent')
  const agentPort = await freePorts()
  const agentCa = join(agentDir, 'server-cert.crt')
  const maker = new SpireMaker(processes, {
    dir,
    parts,
    keylime,
    client,
    agentCa,
    agentPort,
    ...(evidence === 'tpm' && { tpm: { path: tpm.path, keyFile: join(agentDir, 'agent_data.json') } }),
  })
  const spireServer = await maker.newServer(options.server)
  const [keylimeAgent] = await Promise.all([
    startKeylimeAgent(options, processes, {
      dir: agentDir,
      port: agentPort,
      tpm,
      keylime,
      clientFile: client.certFile,
    }),
    spireServer.start(),
  ])
  onPart('the Keylime agent, registered; spire-server with its plugin')
  return {
    tpm,
    keylime,
    keylimeAgent,
    spireServer,
    spireAgent: await maker.newAgent(spireServer, options.agent),
    maker,
    mode,
  }
}

interface AgentPlace {
  readonly dir: string
  readonly port: number
  readonly tpm: Swtpm
  readonly keylime: Keylime
  readonly clientFile: string
}

function startKeylimeAgent(
  { parts, mode, uuid, agentMtls = true }: RigOptions,
  processes: Processes,
  { dir, port, tpm, keylime, clientFile }: AgentPlace,
): Promise<AnyKeylimeAgent> {
  const named = uuid === undefined ? {} : { uuid }
  const registrar = { host: '127.0.0.1', port: keylime.ports.registrar }
  const caFile = join(keylime.certDir, 'cacert.crt')
  return mode === 'push'
    ? KeylimePushAgent.start(processes, {
        dir,
        tpm,
        registrar,
        verifier: { host: '127.0.0.1', port: keylime.ports.verifier },
        verifierCaFile: caFile,
        realAgent: parts.realPushAgent,
        ...named,
      })
    : KeylimeAgent.start(processes, {
        dir,
        port,
        tpm,
        registrar,
        realAgent: parts.realAgent,
        mtls: agentMtls,
        clientCaFiles: [caFile, clientFile],
        ...named,
      })
}
