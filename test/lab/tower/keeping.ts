/**
 * Runs `towerkeep` on host `spire` of a tower, as its operator does.
 *
 * @module
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type CommandResult, tryCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { RigProcess } from '../processes/processes.ts'
import { BELL_PORT, KEYLIME_PORTS } from './hosts.ts'
import { verifierAddresses } from './server-conf.ts'
import type { ServiceSite } from './service-site.ts'
import type { Tower } from './tower.ts'

/** Port of page and metrics. */
const HTTP_PORT = 9109

const ROOT = resolve(import.meta.dirname, '..', '..', '..')

/** Finds the executable in dist/, or in `PLUGIN_DIR`. */
export function towerkeepProgram(): string {
  const program = join(resolve(process.env['PLUGIN_DIR'] ?? join(ROOT, 'dist')), 'towerkeep')
  if (!existsSync(program)) throw new RigError(`${program} is not there: run make build first`)
  return program
}

/** A running daemon. */
export interface Keeper {
  readonly process: RigProcess
  /** Unix socket that takes orders. */
  readonly adminSocket: string
  readonly auditFile: string
  stop(): Promise<void>
}

/**
 * Starts the daemon and waits until all is watched.
 *
 * @param tower A tower raised with `webhook`.
 * @param watch Further keys of its block.
 */
export async function startKeeper(tower: Tower, watch = 'mode = "ban"\n  poll = "5s"'): Promise<Keeper> {
  const config = writeConfiguration(tower, watch)
  const started = tower.on('spire').start({
    name: 'towerkeep',
    command: towerkeepProgram(),
    args: ['watch', '--config', config, '--verbose'],
  })
  await pollUntil('towerkeep to watch', () => started.readLog().includes('"@message":"all is watched"'), {
    logFile: started.logFile,
    abort: () => started.requireRunning(),
  })
  return {
    process: started,
    adminSocket: join(tower.dir, 'keep/admin.sock'),
    auditFile: join(tower.dir, 'keep/audit.jsonl'),
    stop: async () => {
      await started.stop()
    },
  }
}

/**
 * Runs a verb of the tool on host `spire`.
 *
 * @param tower The tower.
 * @param words The command line.
 * @param watch Further keys of the daemon's block.
 */
export function runTowerkeep(tower: Tower, words: readonly string[], watch?: string): Promise<CommandResult> {
  const config = writeConfiguration(tower, watch)
  const [program, ...args] = tower.network.on('spire', [towerkeepProgram(), ...words, '--config', config])
  return tryCommand(program, args, { timeoutMs: 120_000 })
}

/**
 * Runs a verb of the tool on a host, which has no configuration of it and needs none.
 *
 * @param tower The tower.
 * @param host Which host.
 * @param words The command line.
 */
export function runTowerkeepOn(tower: Tower, host: string, words: readonly string[]): Promise<CommandResult> {
  const [program, ...args] = tower.network.on(host, [towerkeepProgram(), ...words])
  return tryCommand(program, args, { timeoutMs: 120_000 })
}

/** Writes the tool's configuration for a tower as it is now. */
export function towerkeepConfig(tower: Tower): string {
  return writeConfiguration(tower)
}

/**
 * Writes what cannot be found out: certificates of its own, names of hosts, and which site is meant where there are two. The
 * rest is read from the running SPIRE server.
 *
 * @returns The file.
 */
export function writeConfiguration(tower: Tower, watch = 'mode = "ban"'): string {
  const { certificates } = tower
  const [cert, key] = [certificates.cert('towerkeep'), certificates.key('towerkeep')]
  const hosts = [...tower.hosts.values()].filter(({ registered }) => registered)
  const sites = tower.second === undefined ? [tower.first] : [tower.first, tower.second]
  const file = join(tower.dir, 'towerkeep.hcl')
  const text = `keylime_ca_file = "${certificates.chain}"
keylime_cert_file = "${cert}"
keylime_key_file = "${key}"
${sites.length > 1 ? addressesOf(tower, sites) : ''}hosts = [${hosts.map(({ name, agentId }) => `"${name}=${agentId}"`).join(', ')}]
watch {
  bell_address = "0.0.0.0:${BELL_PORT}"
  bell_cert_file = "${cert}"
  bell_key_file = "${key}"
  verifier_names = ${JSON.stringify(sites.map(({ site }) => site.names.verifier))}
  http_address = "127.0.0.1:${HTTP_PORT}"
  read_socket = "${join(tower.dir, 'keep/read.sock')}"
  admin_socket = "${join(tower.dir, 'keep/admin.sock')}"
  audit_file = "${join(tower.dir, 'keep/audit.jsonl')}"
  ${watch}
}
`
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

function addressesOf(tower: Tower, sites: readonly ServiceSite[]): string {
  const verifiers = verifierAddresses(tower.serverConf().options).map(({ host, port }) => `${host}:${port}`)
  const registrars = sites.map(({ site }) => `${site.names.registrar}:${KEYLIME_PORTS.registrarTls}`)
  const sockets = sites.map(({ spire }) => spire.socketPath)
  return `spire_sockets = ${JSON.stringify(sockets)}
keylime_verifiers = ${JSON.stringify(verifiers)}
keylime_registrars = ${JSON.stringify(registrars)}
`
}
