/**
 * Keylime's verifier and registrar, started on ports of the rig's choice with a CA of their own.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pollUntil } from '../processes/poll.ts'
import { freePorts } from '../processes/ports.ts'
import { makePrivate } from '../processes/private-files.ts'
import type { Processes, RigProcess } from '../processes/processes.ts'
import { type KeylimeAdmin, newKeylimeAdmin } from './keylime-admin.ts'
import { keylimeConfFiles } from './keylime-conf.ts'

/** Where the services live and how they behave. */
export interface KeylimeOptions {
  /** Existing private folder. */
  readonly dir: string
  /** Folder with keylime_verifier and keylime_registrar. */
  readonly binDir: string
  /** Seconds between two quotes of an agent; default 2, as Keylime's. */
  readonly quoteInterval?: number
  /** Whether the verifier speaks mutual TLS with agents; default true. */
  readonly agentMtls?: boolean
}

/** The two running services. */
export interface Keylime {
  readonly verifierPort: number
  /** Plain HTTP, for registration. */
  readonly registrarPort: number
  readonly registrarTlsPort: number
  /** Holds cacert.crt, server-cert.crt, server-private.pem, client-cert.crt, client-private.pem. */
  readonly caDir: string
  /** For keylime_tenant by hand. */
  readonly env: Readonly<Record<string, string>>
  readonly admin: KeylimeAdmin
  /** The verifier's present process. */
  verifier(): RigProcess
  stopVerifier(): Promise<void>
  /** Starts the verifier again, on the same port and database. */
  startVerifier(change?: { readonly agentMtls?: boolean }): Promise<void>
}

/**
 * Starts verifier and registrar.
 *
 * @param processes Where the processes are kept.
 * @param options Folder, programs, interval.
 * @returns Both services, answering `/version`.
 * @throws {RigError} One of them ends, or does not answer within 90 s.
 */
export async function startKeylime(processes: Processes, options: KeylimeOptions): Promise<Keylime> {
  const stateDir = join(options.dir, 'kl')
  const confDir = join(options.dir, 'conf')
  for (const folder of [stateDir, confDir]) await mkdir(folder, { recursive: true, mode: 0o700 })
  const verifierPort = await freePorts()
  const registrarPort = await freePorts(2)
  const registrarTlsPort = registrarPort + 1
  const quoteInterval = options.quoteInterval ?? 2
  const writeConf = async (agentMtls: boolean): Promise<void> => {
    const ports = { verifierPort, registrarPort, registrarTlsPort }
    const conf = keylimeConfFiles({ dir: stateDir, ...ports, quoteInterval, agentMtls })
    for (const [name, text] of conf) await writeFile(join(confDir, name), text, { mode: 0o600 })
  }
  await writeConf(options.agentMtls ?? true)
  const env = keylimeEnv(stateDir, confDir)
  const caDir = join(stateDir, 'cv_ca')

  const start = (name: string): RigProcess =>
    processes.start({
      name,
      command: join(options.binDir, `keylime_${name}`),
      env,
      cwd: stateDir,
      leftovers: (pid) => [`/run/keylime/shared_data.${pid}.sock`],
    })
  let verifier = start('verifier')
  const admin = newKeylimeAdmin({ verifierPort, registrarTlsPort, caDir, verifierLog: verifier.logFile })
  await answering(verifier, () => admin.verifier('GET', '/version'))
  await makePrivate(caDir)
  const registrar = start('registrar')
  await answering(registrar, () => admin.registrar('GET', '/version'))

  return {
    verifierPort,
    registrarPort,
    registrarTlsPort,
    caDir,
    env,
    admin,
    verifier: () => verifier,
    async stopVerifier() {
      await verifier.stop()
    },
    async startVerifier({ agentMtls } = {}) {
      if (agentMtls !== undefined) await writeConf(agentMtls)
      verifier = start('verifier')
      await answering(verifier, () => admin.verifier('GET', '/version'))
    },
  }
}

/** `KEYLIME_<X>_CONFIG` replaces every other configuration file of that component. */
function keylimeEnv(stateDir: string, confDir: string): Readonly<Record<string, string>> {
  const env: Record<string, string> = {
    KEYLIME_DIR: stateDir,
    KEYLIME_VERIFIER_MAX_WORKERS: '1',
    KEYLIME_REGISTRAR_MAX_WORKERS: '1',
    PYTHONUNBUFFERED: '1',
    // Where its sockets go when this user may not write to /run/keylime.
    XDG_RUNTIME_DIR: stateDir,
  }
  for (const name of ['verifier', 'registrar', 'tenant', 'ca', 'logging']) {
    env[`KEYLIME_${name.toUpperCase()}_CONFIG`] = join(confDir, `${name}.conf`)
  }
  return env
}

async function answering(service: RigProcess, ask: () => Promise<{ readonly status: number }>): Promise<void> {
  await pollUntil(`the keylime ${service.name} to answer /version`, async () => (await ask()).status === 200, {
    deadlineMs: 90_000,
    logFile: service.logFile,
    abort: () => service.requireRunning(),
  })
}
