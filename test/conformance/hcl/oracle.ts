/**
 * Builds and asks the Go program that knows what hashicorp/hcl makes of a text.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import type { GoValue } from './go-shape.ts'

/** What Go says of one text; an absent error means it took it. */
export interface GoVerdict {
  /** Of `hcl.Parse`, which refuses an argument set twice in HCL. */
  readonly strict?: string
  /** Of `hcl.Decode` into an interface. */
  readonly decode?: string
  readonly value?: GoValue
  /** Of `hcl.Decode` into a struct. */
  readonly typed?: string
  readonly fields?: GoFields
  /** The text as SPIRE hands it to a plugin: parsed and printed again. */
  readonly printed?: string
}

/** The struct the oracle decodes into. */
export interface GoFields {
  readonly text: string
  readonly count: number
  readonly flag: boolean
  readonly list: readonly string[]
  readonly block: { readonly text: string }
}

const HERE = import.meta.dirname
const SOURCES = ['main.go', 'go.mod', 'go.sum']

/**
 * Looks for a Go toolchain on the PATH.
 *
 * @returns What `go version` says; undefined when there is none.
 */
export function goVersion(): string | undefined {
  const { status, stdout } = spawnSync('go', ['version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/**
 * Builds the oracle once for these sources; it is kept outside the checkout.
 *
 * @throws {Error} `go build` fails; the message is its output.
 */
export function buildOracle(): string {
  const hash = createHash('sha256')
  for (const name of SOURCES) hash.update(readFileSync(join(HERE, name)))
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const folder = join(cache, 'tower-of-omens', 'hcl-oracle')
  const path = join(folder, hash.digest('hex').slice(0, 16))
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' }
  const { status, stderr } = spawnSync('go', ['build', '-trimpath', '-o', unfinished, '.'], {
    cwd: HERE,
    encoding: 'utf8',
    env,
  })
  if (status !== 0) throw new Error(`go build of the HCL oracle failed: ${stderr}`)
  renameSync(unfinished, path)
  return path
}

/**
 * Asks Go about many texts.
 *
 * @param oracle From `buildOracle`.
 * @returns One verdict for each, in order.
 * @throws {Error} The oracle fails or answers another number of verdicts.
 */
export async function askGo(oracle: string, texts: readonly string[]): Promise<GoVerdict[]> {
  const child = spawn(oracle, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve, reject) => child.once('exit', resolve).once('error', reject))
  child.stdin.end(texts.map((text) => `${JSON.stringify(text)}\n`).join(''))
  const lines = (await readAll(child.stdout)).trimEnd().split('\n')
  const code = await exited
  if (code !== 0 || lines.length !== texts.length) {
    throw new Error(`hcl oracle: exit code ${code}, ${lines.length} verdicts for ${texts.length} texts`)
  }
  // The oracle is ours; a wrong answer fails the comparison.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return lines.map((line) => JSON.parse(line) as GoVerdict)
}
