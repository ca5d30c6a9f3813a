/**
 * A folder that OpenTofu works in, with the pages of our provider beside it.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { bundlePlugin } from '../../../plugins/go-plugin/bundle/index.ts'
import { PAGES_VARIABLE } from './provider.ts'

/** How one command of OpenTofu ended, and what it said. */
export interface TofuResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command of OpenTofu that runs. */
export interface TofuCommand {
  /** Also the number of its process group. */
  readonly pid: number
  readonly ended: Promise<TofuResult>
}

/** Where the provider comes from in a configuration. */
export const PROVIDER_SOURCE = 'tower/omens'

const PREAMBLE = `terraform {
  required_providers {
    omens = { source = "${PROVIDER_SOURCE}" }
  }
}
`

/**
 * Bundles the provider as OpenTofu looks for it.
 *
 * @param folder Where its file goes.
 */
export async function bundleProvider(folder: string): Promise<void> {
  const entry = join(import.meta.dirname, 'provider-plugin.ts')
  const out = join(folder, 'terraform-provider-omens')
  chmodSync((await bundlePlugin({ entry, out, script: out, executable: false })).script, 0o755)
}

/** A configuration, its state and its pages. */
export class Workspace {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tofu-'))
  /** Folder of the pages. */
  readonly pages: string = join(this.#folder, 'pages')
  readonly #tofu: string
  readonly #logFile = join(this.#folder, 'tofu.log')
  readonly #running = new Set<ChildProcess>()

  /**
   * @param tofu Path of OpenTofu.
   * @param providers Folder of the provider's file.
   */
  constructor(tofu: string, providers: string) {
    this.#tofu = tofu
    mkdirSync(this.pages)
    const override = `dev_overrides {\n    "${PROVIDER_SOURCE}" = "${providers}"\n  }`
    writeFileSync(join(this.#folder, 'tofu.rc'), `provider_installation {\n  ${override}\n  direct {}\n}\n`)
  }

  /** Replaces the configuration. */
  configure(...blocks: readonly string[]): void {
    writeFileSync(join(this.#folder, 'main.tf'), [PREAMBLE, ...blocks].join('\n'))
  }

  /** Starts a command in a process group of its own. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): TofuCommand {
    const child = spawn(this.#tofu, [...args], {
      cwd: this.#folder,
      env: { ...this.#environment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#running.add(child)
    const end = async (): Promise<TofuResult> => {
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
      this.#running.delete(child)
      return { code: child.exitCode, stdout, stderr }
    }
    return { pid: child.pid ?? 0, ended: end() }
  }

  /** Runs a command to its end, whatever that is. */
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<TofuResult> {
    return this.start(args, env).ended
  }

  /**
   * Applies the configuration, which a test takes for granted.
   *
   * @throws {Error} It fails; the message has OpenTofu's words.
   */
  async apply(env?: Readonly<Record<string, string>>): Promise<TofuResult> {
    const result = await this.run(['apply', '-auto-approve', '-no-color'], env)
    if (result.code !== 0) throw new Error(`tofu apply: exit ${result.code}: ${result.stderr}`)
    return result
  }

  /** Reads what a command says in JSON. */
  async json(args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await this.run(args)
    if (stdout === '') throw new Error(`tofu ${args.join(' ')}: exit ${code}: ${stderr}`)
    return JSON.parse(stdout)
  }

  /** Reads every output. */
  async outputs(): Promise<Record<string, unknown>> {
    const outputs = (await this.json(['output', '-json'])) as Record<string, { readonly value: unknown }>
    return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]))
  }

  /** Reads the texts of all pages, sorted. */
  texts(): readonly string[] {
    return readdirSync(this.pages)
      .map((page) => readFileSync(join(this.pages, page), 'utf8'))
      .toSorted()
  }

  /** Lines of the log so far that hold a text. */
  logged(part: string): readonly string[] {
    if (!existsSync(this.#logFile)) return []
    return readFileSync(this.#logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes(part))
  }

  /** Lists the processes that work here: OpenTofu's, and the provider's. */
  processes(): readonly number[] {
    const here = `${PAGES_VARIABLE}=${this.pages}\0`
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(here))
      .map(Number)
  }

  /** Ends what still runs, and removes the folder. */
  async remove(): Promise<void> {
    for (const child of this.#running) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #environment(): Record<string, string> {
    return {
      PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      HOME: this.#folder,
      TMPDIR: this.#folder,
      TF_CLI_CONFIG_FILE: join(this.#folder, 'tofu.rc'),
      TF_IN_AUTOMATION: '1',
      TF_INPUT: '0',
      TF_LOG: 'debug',
      TF_LOG_PATH: this.#logFile,
      [PAGES_VARIABLE]: this.pages,
    }
  }
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}
