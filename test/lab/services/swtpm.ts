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

/** A running TPM. */
export interface Swtpm {
  /** For `TCTI` and `TPM2TOOLS_TCTI`. */
  readonly tcti: string
  /** PEM file of the root that the EK certificate chains to. */
  readonly ekRootFile: string
  /** Runs one tpm2-tools command, for instance `run('tpm2_pcrread', ['sha256:7'])`; resolves with its output. */
  run(tool: string, args: readonly string[]): Promise<string>
  /** Reads one PCR of the SHA-256 bank: 64 lower-case hex digits. */
  readPcr(index: number): Promise<string>
  /** Extends one PCR of the SHA-256 bank with a digest of 64 hex digits. */
  extendPcr(index: number, digest: string): Promise<void>
  /** Flushes transient objects and sessions; only while no Keylime agent uses the TPM. */
  flush(): Promise<void>
  /**
   * Ends the TPM's processes. `shutdown` keeps its clock going on, as a reboot does; after `power cut` the clock jumps
   * back, and Keylime takes the next quote for a forgery. Stop its Keylime agent first.
   */
  stop(how: 'shutdown' | 'power cut'): Promise<void>
  /** Starts it again: PCRs are zero. */
  start(): Promise<void>
  /** Shuts it down and starts it again. */
  reboot(): Promise<void>
}

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

/**
 * Manufactures a TPM and starts it.
 *
 * @param processes Where its two processes are kept.
 * @param options Folder and name.
 * @returns The TPM, answering.
 * @throws {RigError} swtpm_setup fails, or the TPM does not answer within 15 s.
 */
export async function startSwtpm(processes: ProcessStarter, options: SwtpmOptions): Promise<Swtpm> {
  const { dir } = options
  const name = options.name ?? 'swtpm'
  const ca = options.ekCaDir ?? join(dir, 'ca')
  await manufacture(dir, ca)
  const port = options.port ?? (await freePorts(2))
  const data = join(dir, 'data.sock')
  const control = join(dir, 'control.sock')
  const run = newToolRunner(`swtpm:host=127.0.0.1,port=${port}`, options.on)

  const boot = async (): Promise<readonly RigProcess[]> => {
    for (const socket of [data, control]) await rm(socket, { force: true })
    const tpm = processes.start({ name, command: 'swtpm', args: swtpmArgs(join(dir, 'state'), data, control) })
    await pollUntil('the software TPM to listen', () => canConnect(control), patienceWith(tpm))
    const muxFile = fileURLToPath(new URL('./tpm-mux.ts', import.meta.url))
    const args = [muxFile, String(port), data, control]
    const mux = processes.start({ name: `${name}-mux`, command: process.execPath, args })
    await pollUntil('the software TPM to answer', () => run('tpm2_pcrread', ['sha256:0']), patienceWith(mux))
    return [mux, tpm]
  }
  let running = await boot()
  const stop: Swtpm['stop'] = async (how) => {
    if (how === 'shutdown') await run('tpm2_shutdown', ['-c'])
    for (const process of running) {
      if (how === 'power cut') process.kill('SIGKILL')
      await process.stop()
    }
  }
  const start = async (): Promise<void> => {
    running = await boot()
  }
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    ekRootFile: join(ca, 'swtpm-localca-rootca-cert.pem'),
    run,
    async readPcr(index) {
      const value = /0x([0-9A-F]{64})/i.exec(await run('tpm2_pcrread', [`sha256:${index}`]))?.[1]
      if (value === undefined) throw new RigError(`tpm2_pcrread shows no sha256 value for PCR ${index}`)
      return value.toLowerCase()
    },
    extendPcr: async (index, digest) => void (await run('tpm2_pcrextend', [`${index}:sha256=${digest}`])),
    async flush() {
      for (const kind of ['-t', '-l', '-s']) await run('tpm2_flushcontext', [kind])
    },
    stop,
    start,
    async reboot() {
      await stop('shutdown')
      await start()
    },
  }
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

function newToolRunner(tcti: string, on: SwtpmOptions['on'] = (command) => command): Swtpm['run'] {
  return (tool, args) => {
    const [command, ...rest] = on([tool, ...args])
    return runCommand(command, rest, { env: { TPM2TOOLS_TCTI: tcti, TSS2_LOG: 'all+NONE' }, timeoutMs: 15_000 })
  }
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
