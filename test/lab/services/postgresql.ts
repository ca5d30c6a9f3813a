/**
 * A PostgreSQL of the lab's own: an unprivileged cluster in a folder, as SPIRE servers and registrars share one.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../processes/commands.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import type { ConfObject } from './hcl-text.ts'

/** Where it runs. */
export interface PostgresqlOptions {
  /** A folder that does not exist yet, in one that everybody may pass through: PostgreSQL refuses to run as root. */
  readonly dir: string
  /** Folder with postgres, initdb and psql. */
  readonly binDir: string
  /** Address that clients know it by. */
  readonly ip: string
  /** Addresses of clients, as pg_hba.conf words them. */
  readonly clients: string
}

const PORT = 5432
const USER = 'lab'
/** `nobody`: a user that every Debian has, and that owns nothing. */
const NOBODY = 65_534

/** One server, running or stopped. */
export class Postgresql {
  readonly #starter: ProcessStarter
  readonly #options: PostgresqlOptions
  readonly #password = randomBytes(12).toString('hex')
  #running: RigProcess | undefined

  private constructor(starter: ProcessStarter, options: PostgresqlOptions) {
    this.#starter = starter
    this.#options = options
  }

  /**
   * Makes a cluster with these databases, and starts it.
   *
   * @throws {RigError} initdb fails, or the server does not answer within 30 s.
   */
  static async start(
    starter: ProcessStarter,
    options: PostgresqlOptions,
    databases: readonly string[],
  ): Promise<Postgresql> {
    const server = new Postgresql(starter, options)
    await server.#initialise()
    await server.start()
    for (const name of databases) await server.#psql(`CREATE DATABASE ${name}`)
    return server
  }

  /** Starts it (again), on the same data. */
  async start(): Promise<void> {
    const { dir } = this.#options
    const settings = ['-c', 'listen_addresses=*', '-c', `unix_socket_directories=${dir}`, '-c', 'fsync=off']
    const [command, ...args] = unprivileged(this.#program('postgres'), ['-D', join(dir, 'data'), ...settings])
    const started = this.#starter.start({ name: 'postgresql', command, args, told: 'leader' })
    this.#running = started
    await pollUntil('PostgreSQL to answer', () => this.#psql('SELECT 1'), {
      logFile: started.logFile,
      abort: () => started.requireRunning(),
    })
  }

  /** Ends it at once, as a failover does: clients lose their connections, no data is lost. */
  async stop(): Promise<void> {
    this.#running?.kill('SIGINT')
    await this.#running?.exited
  }

  /** Gives `plugin_data` of a SPIRE server's datastore. */
  datastore(database: string): ConfObject {
    const words = { dbname: database, user: USER, password: this.#password, host: this.#options.ip, port: PORT }
    const text = Object.entries({ ...words, sslmode: 'disable' }).map(([key, value]) => `${key}=${value}`)
    return { database_type: 'postgres', connection_string: text.join(' ') }
  }

  /** Gives the `database_url` of a Keylime service. */
  url(database: string): string {
    return `postgresql+psycopg2://${USER}:${this.#password}@${this.#options.ip}:${PORT}/${database}`
  }

  async #initialise(): Promise<void> {
    const { dir, clients } = this.#options
    mkdirSync(dir, { mode: 0o700 })
    const secret = join(dir, 'password')
    writeFileSync(secret, this.#password, { mode: 0o600 })
    if (process.getuid?.() === 0) for (const path of [dir, secret]) chownSync(path, NOBODY, NOBODY)
    const auth = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${secret}`, `--username=${USER}`]
    const words = ['-D', join(dir, 'data'), ...auth, '--no-sync', '--locale=C', '--encoding=UTF8']
    const [command, ...args] = unprivileged(this.#program('initdb'), words)
    await runCommand(command, args)
    const rules = `local all all trust\nhost all all ${clients} scram-sha-256\n`
    writeFileSync(join(dir, 'data', 'pg_hba.conf'), rules)
  }

  #psql(statement: string): Promise<string> {
    const args = ['-h', this.#options.dir, '-U', USER, '-d', 'postgres', '-qAtc', statement]
    return runCommand(this.#program('psql'), args, { timeoutMs: 5_000 })
  }

  #program(name: string): string {
    return join(this.#options.binDir, name)
  }
}

function unprivileged(command: string, args: readonly string[]): readonly [string, ...string[]] {
  if (process.getuid?.() !== 0) return [command, ...args]
  return ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', command, ...args]
}
