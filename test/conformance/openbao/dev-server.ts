/**
 * OpenBao in its development mode: unsealed, in memory, with a folder of plugins.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { bundlePlugin } from '../../../plugins/go-plugin/bundle/index.ts'
import { requireOpenBao } from '../../lab/parts/tower-programs.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { freePorts } from '../../lab/processes/ports.ts'

/** An answer of OpenBao. */
export interface BaoAnswer {
  readonly status: number
  readonly data: Readonly<Record<string, unknown>>
  readonly errors: readonly string[]
}

const ROOT_TOKEN = 'root-of-the-test'

/** A running OpenBao and our plugins beside it. */
export class BaoDevServer {
  readonly folder: string
  readonly #process: ChildProcess
  readonly address: string
  /** A token that may do everything. */
  readonly token = ROOT_TOKEN
  readonly #output: () => string

  private constructor(folder: string, process_: ChildProcess, address: string) {
    this.folder = folder
    this.#process = process_
    this.address = address
    const chunks: string[] = []
    for (const stream of [process_.stdout, process_.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
    }
    this.#output = () => chunks.join('')
  }

  /**
   * Bundles the plugins and starts OpenBao.
   *
   * @returns The server, once it answers.
   */
  static async start(): Promise<BaoDevServer> {
    const bao = await requireOpenBao(process.stderr)
    const folder = mkdtempSync(join(tmpdir(), 'bao-'))
    for (const [name, file] of Object.entries({ omens: 'secrets', 'omens-database': 'database' })) {
      const entry = join(import.meta.dirname, `${file}-plugin.ts`)
      const out = join(folder, 'plugins', name)
      chmodSync((await bundlePlugin({ entry, out, script: out, executable: false })).script, 0o755)
    }
    const port = await freePorts()
    const flags = [`-dev-root-token-id=${ROOT_TOKEN}`, `-dev-listen-address=127.0.0.1:${port}`, '-dev-no-store-token']
    const env = {
      PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      HOME: folder,
      TMPDIR: folder,
    }
    const args = ['server', '-dev', `-dev-plugin-dir=${join(folder, 'plugins')}`, '-log-level=debug', ...flags]
    const child = spawn(bao, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const server = new BaoDevServer(folder, child, `http://127.0.0.1:${port}`)
    const up = (): Promise<boolean> => server.ask('GET', 'sys/health').then(({ status }) => status === 200)
    await pollUntil('OpenBao', () => up().catch(() => false), { deadlineMs: 60_000, intervalMs: 50 })
    return server
  }

  /**
   * Asks OpenBao.
   *
   * @param path Below `/v1/`.
   * @param body Sent as JSON.
   * @param token The root token unless given; empty for none.
   */
  async ask(method: string, path: string, body?: object, token: string = ROOT_TOKEN): Promise<BaoAnswer> {
    const response = await fetch(`${this.address}/v1/${path}`, {
      method,
      headers: token === '' ? {} : { 'x-vault-token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const json = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
    return {
      status: response.status,
      data: (json['data'] ?? json['auth'] ?? {}) as Record<string, unknown>,
      errors: (json['errors'] ?? []) as string[],
    }
  }

  /**
   * Asks OpenBao for something a test takes for granted.
   *
   * @throws {Error} It refuses; the message has its words.
   */
  async must(method: string, path: string, body: object): Promise<BaoAnswer> {
    const answer = await this.ask(method, path, body)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.errors.join('; ')}`)
    return answer
  }

  /** Lists the processes of our plugins. */
  plugins(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => parentOf(pid) === this.#process.pid)
  }

  /** Lines of the log so far that hold a text. */
  logged(text: string): readonly string[] {
    return this.#output()
      .split('\n')
      .filter((line) => line.includes(text))
  }

  /** Ends OpenBao as an operator does, and removes its folder. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGTERM')
      await once(this.#process, 'exit')
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function parentOf(pid: number): number | undefined {
  const file = `/proc/${pid}/stat`
  try {
    const stat = existsSync(file) ? readFileSync(file, 'utf8') : ''
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}
