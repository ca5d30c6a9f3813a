/**
 * One software TPM: manufactured with an EK certificate of the rig's own CA, started behind the multiplexer, and used
 * through tpm2-tools.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { type PollOptions, pollUntil } from '../processes/poll.ts'
import { freePorts } from '../processes/ports.ts'
import { makePrivate } from '../processes/private-files.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'

/** Where and under which name. */
export interface SwtpmOptions {
  /** Existing folder for the TPM's state and its CA. */
  readonly dir: string
  /** Distinguishes the log files of several TPMs; default "swtpm". */
  readonly name?: string
  /** Clients' port, and the one after it; default: free ones. */
  readonly port?: number
  /** Folder of the CA that signs the EK certificate, shared by several TPMs; default: a folder of its own. */
  readonly ekCaDir?: string
  /** Words a command so that it runs where the TPM's port is; default: here. */
  readonly on?: (command: readonly [string, ...string[]]) => readonly [string, ...string[]]
}

/** How a TPM goes off: in order, as for a reboot, or with its clock set back to the last value it had saved. */
export type PowerOff = 'shutdown' | 'power cut'

/** One software TPM, running or off. */
export class Swtpm {
  /** For `TCTI` and `TPM2TOOLS_TCTI`. */
  readonly tcti: string
  /** UNIX socket for `tpm_path`: what is loaded through a connection goes with it. */
  readonly path: string
  /** PEM file of the root that the EK certificate chains to. */
  readonly ekRootFile: string
  readonly #processes: ProcessStarter
  readonly #options: SwtpmOptions
  readonly #port: number
  #running: readonly RigProcess[] = []

  private constructor(processes: ProcessStarter, options: SwtpmOptions, port: number) {
    this.#processes = processes
    this.#options = options
    this.#port = port
    this.tcti = `swtpm:host=127.0.0.1,port=${port}`
    this.path = join(options.dir, 'tpm.sock')
    this.ekRootFile = join(ekCaOf(options), 'swtpm-localca-rootca-cert.pem')
  }

  /**
   * Manufactures a TPM and starts it.
   *
   * @throws {RigError} swtpm_setup fails, or the TPM does not answer within 15 s.
   */
  static async start(processes: ProcessStarter, options: SwtpmOptions): Promise<Swtpm> {
    await manufacture(options.dir, ekCaOf(options))
    const tpm = new Swtpm(processes, options, options.port ?? (await freePorts(2)))
    await tpm.start()
    return tpm
  }

  /** Runs one tpm2-tools command, for instance `run('tpm2_pcrread', ['sha256:7'])`. */
  run(tool: string, args: readonly string[]): Promise<string> {
    const { on = (command) => command } = this.#options
    const [command, ...rest] = on([tool, ...args])
    return runCommand(command, rest, { env: { TPM2TOOLS_TCTI: this.tcti, TSS2_LOG: 'all+NONE' }, timeoutMs: 15_000 })
  }

  /** Reads one PCR of the SHA-256 bank: 64 lower-case hex digits. */
  async readPcr(index: number): Promise<string> {
    const value = /0x([0-9A-F]{64})/i.exec(await this.run('tpm2_pcrread', [`sha256:${index}`]))?.[1]
    if (value === undefined) throw new RigError(`tpm2_pcrread shows no sha256 value for PCR ${index}`)
    return value.toLowerCase()
  }

  /** Extends one PCR of the SHA-256 bank with a digest of 64 hex digits. */
  async extendPcr(index: number, digest: string): Promise<void> {
    await this.run('tpm2_pcrextend', [`${index}:sha256=${digest}`])
  }

  /** Flushes transient objects and sessions; only while no Keylime agent uses the TPM. */
  async flush(): Promise<void> {
    for (const kind of ['-t', '-l', '-s']) await this.run('tpm2_flushcontext', [kind])
  }

  /**
   * Ends the TPM's processes: stop its Keylime agent first. After a power cut the clock jumps back, and Keylime takes the
   * next quote for a forgery.
   */
  async stop(how: PowerOff): Promise<void> {
    if (how === 'shutdown') await this.run('tpm2_shutdown', ['-c'])
    for (const process of this.#running) {
      if (how === 'power cut') process.kill('SIGKILL')
      await process.stop()
    }
  }

  /** Starts it again: PCRs are zero. */
  async start(): Promise<void> {
    const { dir, name = 'swtpm' } = this.#options
    const [data, control] = [join(dir, 'data.sock'), join(dir, 'control.sock')]
    for (const socket of [data, control, this.path]) await rm(socket, { force: true })
    const tpm = this.#processes.start({ name, command: 'swtpm', args: swtpmArgs(join(dir, 'state'), data, control) })
    await pollUntil('the software TPM to listen', () => canConnect(control), patienceWith(tpm))
    const muxFile = fileURLToPath(new URL('./tpm-mux.ts', import.meta.url))
    const args = [muxFile, String(this.#port), data, control, this.path]
    const mux = this.#processes.start({ name: `${name}-mux`, command: process.execPath, args })
    this.#running = [mux, tpm]
    await pollUntil('the software TPM to answer', () => this.run('tpm2_pcrread', ['sha256:0']), patienceWith(mux))
  }

  /** Shuts it down and starts it again. */
  async reboot(): Promise<void> {
    await this.stop('shutdown')
    await this.start()
  }
}

function ekCaOf({ dir, ekCaDir }: SwtpmOptions): string {
  return ekCaDir ?? join(dir, 'ca')
}

function patienceWith(asked: RigProcess): PollOptions {
  return { deadlineMs: 15_000, intervalMs: 30, logFile: asked.logFile, abort: () => asked.requireRunning() }
}

function swtpmArgs(state: string, data: string, control: string): readonly string[] {
  return [
    ...'socket --tpm2 --flags startup-clear,not-need-init --tpmstate'.split(' '),
    `dir=${state}`,
    '--server',
    `type=unixio,path=${data}`,
    '--ctrl',
    `type=unixio,path=${control}`,
  ]
}

/** Without a configuration of its own, swtpm_setup signs with one CA for the whole machine. */
async function manufacture(dir: string, ca: string): Promise<void> {
  const state = join(dir, 'state')
  await mkdir(ca, { recursive: true, mode: 0o700 })
  await mkdir(state, { recursive: true, mode: 0o700 })
  const setup = join(ca, 'setup.conf')
  const localCa = join(ca, 'localca.conf')
  const options = join(ca, 'localca.options')
  await writeFile(
    setup,
    [
      `create_certs_tool = ${await whichTool('swtpm_localca')}`,
      `create_certs_tool_config = ${localCa}`,
      `create_certs_tool_options = ${options}`,
      'active_pcr_banks = sha256',
      '',
    ].join('\n'),
  )
  await writeFile(
    localCa,
    [
      `statedir = ${ca}`,
      `signingkey = ${join(ca, 'signkey.pem')}`,
      `issuercert = ${join(ca, 'issuercert.pem')}`,
      `certserial = ${join(ca, 'certserial')}`,
      '',
    ].join('\n'),
  )
  await writeFile(options, '--platform-manufacturer TowerOfOmens\n--platform-version 1\n--platform-model rig\n')
  await runCommand('swtpm_setup', [
    ...'--tpm2 --createek --decryption --create-ek-cert --create-platform-cert --lock-nvram --not-overwrite'.split(' '),
    ...'--pcr-banks sha256 --tpmstate'.split(' '),
    state,
    '--config',
    setup,
  ])
  await makePrivate(ca)
}

async function whichTool(tool: string): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(':').concat('/usr/bin', '/usr/share/swtpm')) {
    try {
      readFileSync(join(folder, tool), { flag: 'r' })
      return join(folder, tool)
    } catch {
      // Not in this folder.
    }
  }
  throw new RigError(`${tool} is not in PATH: install the Debian package swtpm-tools`)
}

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
