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
import { newLogDir } from '../parts/cache.ts'
import type { Parts } from '../parts/parts.ts'
import { freePorts } from '../processes/ports.ts'
import { Processes } from '../processes/processes.ts'
import { writeSelfSigned } from '../services/certificates.ts'
import { type Keylime, startKeylime } from '../services/keylime.ts'
import type { EnrolOptions, TpmPolicy, VerifierEntry } from '../services/keylime-admin.ts'
import { type KeylimeAgent, startKeylimeAgent } from '../services/keylime-agent.ts'
import type { SpireAgent } from '../services/spire-agent.ts'
import type { SpireServer } from '../services/spire-server.ts'
import { type Swtpm, startSwtpm } from '../services/swtpm.ts'
import { type AgentChange, newSpireMaker, type ServerChange, type SpireMaker, TRUST_DOMAIN } from './spire-maker.ts'

/** The PCR that the default policy pins and that `tamper` extends; on PCs it holds the Secure Boot policy. */
export const PINNED_PCR = 7

const STATE_INVALID_QUOTE = 9

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
  /** How the first SPIRE server and agent differ from the default. */
  readonly server?: ServerChange
  readonly agent?: AgentChange
  /** Told about each part as it comes up. */
  readonly onPart?: (what: string) => void
}

/** A running host: Keylime agent registered but not enrolled, SPIRE server up, SPIRE agent not started. */
export interface Rig extends SpireMaker {
  readonly dir: string
  readonly logDir: string
  readonly parts: Parts
  readonly processes: Processes
  readonly tpm: Swtpm
  readonly keylime: Keylime
  readonly keylimeAgent: KeylimeAgent
  readonly spireServer: SpireServer
  readonly spireAgent: SpireAgent
  /** The Keylime agent's ID. */
  readonly agentId: string
  /** The SPIRE agent's SPIFFE ID once it is attested. */
  readonly spiffeId: string
  /** Enrols the Keylime agent at the verifier, by default pinning PCR 7 to its present value. */
  enrol(options?: EnrolOptions & { readonly policy?: TpmPolicy }): Promise<void>
  /** Extends the pinned PCR and waits until Keylime has failed the node for it. */
  tamper(): Promise<VerifierEntry>
  /** Restarts the TPM with its Keylime agent, as a reboot does: PCRs begin at zero again. */
  reboot(): Promise<void>
  /** Creates the entry of a workload that runs as this user, below the agent; returns its SPIFFE ID. */
  createWorkload(name: string, ttlSeconds?: number): Promise<string>
  /** Ends every process and removes the work folder; the logs stay. */
  stop(): Promise<void>
}

/**
 * Starts a host.
 *
 * @param options What differs.
 * @returns The host.
 * @throws {RigError} A part does not come up; what had been started is ended again.
 */
export async function startRig(options: RigOptions): Promise<Rig> {
  process.umask(0o077)
  const dir = mkdtempSync(join(shortTmpDir(), 'tower-of-omens-'))
  const logDir = newLogDir(options.name)
  const processes = new Processes(dir, logDir)
  const stop = async (): Promise<void> => {
    await processes.stopAll()
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    const parts = await startParts(options, dir, processes)
    return { dir, logDir, parts: options.parts, processes, ...parts, ...newActions(parts), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A Unix socket's path holds 107 characters, and go-plugin's lie three folders down. */
function shortTmpDir(): string {
  return tmpdir().length <= 30 ? tmpdir() : '/tmp'
}

type RigParts = SpireMaker &
  Pick<Rig, 'tpm' | 'keylime' | 'keylimeAgent' | 'spireServer' | 'spireAgent' | 'agentId' | 'spiffeId'>

async function startParts(options: RigOptions, dir: string, processes: Processes): Promise<RigParts> {
  const { parts, onPart = () => {} } = options
  const folders = { tpm: join(dir, 'tpm'), keylime: join(dir, 'keylime') }
  for (const folder of Object.values(folders)) await mkdir(folder, { mode: 0o700 })
  const client = { certFile: join(dir, 'plugin.crt'), keyFile: join(dir, 'plugin.key') }
  const { quoteInterval = 2, agentMtls = true } = options

  const [tpm, keylime] = await Promise.all([
    startSwtpm(processes, { dir: folders.tpm }),
    startKeylime(processes, { dir: folders.keylime, binDir: parts.keylimeBin, quoteInterval, agentMtls }),
    writeSelfSigned({ ...client, commonName: 'spire-agent', usage: 'clientAuth', altNames: 'DNS:localhost' }),
  ])
  onPart('a software TPM; the Keylime verifier and registrar')

  const agentPort = await freePorts()
  const maker = newSpireMaker(processes, {
    dir,
    parts,
    keylime,
    client,
    agentDir: join(dir, 'keylime-agent'),
    agentPort,
  })
  const spireServer = await maker.newServer(options.server)
  const [keylimeAgent] = await Promise.all([
    startKeylimeAgent(processes, {
      dir: join(dir, 'keylime-agent'),
      port: agentPort,
      tpm,
      registrar: { host: '127.0.0.1', port: keylime.registrarPort },
      realAgent: parts.realAgent,
      mtls: agentMtls,
      clientCaFiles: [join(keylime.caDir, 'cacert.crt'), client.certFile],
      ...(options.uuid === undefined ? {} : { uuid: options.uuid }),
    }),
    spireServer.start(),
  ])
  onPart('the Keylime agent, registered; spire-server with its plugin')

  const spireAgent = await maker.newAgent(spireServer, options.agent)
  const agentId = keylimeAgent.agentId()
  const spiffeId = `spiffe://${TRUST_DOMAIN}/spire/agent/keylime/${agentId}`
  return { tpm, keylime, keylimeAgent, spireServer, spireAgent, agentId, spiffeId, ...maker }
}

function newActions(parts: RigParts): Pick<Rig, 'enrol' | 'tamper' | 'reboot' | 'createWorkload'> {
  const { tpm, keylime, keylimeAgent, agentId } = parts
  return {
    async enrol({ policy, ...options } = {}) {
      const pinned = { mask: `0x${(1 << PINNED_PCR).toString(16)}`, [PINNED_PCR]: [await tpm.readPcr(PINNED_PCR)] }
      await keylime.admin.enrol(agentId, policy ?? pinned, options)
    },
    async tamper() {
      await tpm.extendPcr(PINNED_PCR, createHash('sha256').update(`tampered ${randomUUID()}`).digest('hex'))
      return keylime.admin.waitFor(
        agentId,
        'Keylime to fail the node',
        (entry) => entry.operational_state === STATE_INVALID_QUOTE,
      )
    },
    async reboot() {
      await keylimeAgent.stop()
      await tpm.reboot()
      await keylimeAgent.start()
    },
    async createWorkload(name, ttlSeconds) {
      const spiffeId = `spiffe://${TRUST_DOMAIN}/workload/${name}`
      await parts.spireServer.createEntry({
        spiffeId,
        parentId: parts.spiffeId,
        selectors: [`unix:uid:${userInfo().uid}`],
        ...(ttlSeconds === undefined ? {} : { x509SvidTtl: ttlSeconds }),
      })
      return spiffeId
    },
  }
}

/**
 * Writes what `stop.ts` needs to end a host that is left running, and lets go of it.
 *
 * @param rig The host.
 * @returns The state file.
 */
export async function keepRig(rig: Rig): Promise<string> {
  const file = join(rig.dir, 'rig.json')
  const state = { dir: rig.dir, logDir: rig.logDir, groups: rig.processes.groups() }
  await writeFile(file, JSON.stringify(state, undefined, 2), { mode: 0o600 })
  rig.processes.keep()
  return file
}
