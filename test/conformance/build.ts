/**
 * Builds what the conformance cases need: the plugins of roles/ as single files, and the Go hosts that load them.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'

const here = import.meta.dirname
const root = join(here, '../..')
const run = promisify(execFile)

/** Executables by the names the hosts know them under. */
export interface Executables {
  readonly host: string
  readonly oldHost: string
  /** go-plugin's example hosts, `kv`, `counter` and `negotiated`, as hashicorp wrote them. */
  readonly exampleHosts: Readonly<Record<string, string>>
  /** `server`, `agent` (the attestors of dist/), `example`, `catalog`, `server-attestor`, `agent-attestor`. */
  readonly plugins: Readonly<Record<string, string>>
}

/** Says what is being built; a Go host that nobody has built before takes minutes. */
export type Progress = (line: string) => void

/**
 * Builds everything, outside of the checkout; what did not change is not built again.
 *
 * @param progress Told of each step that takes time.
 * @returns Paths.
 * @throws {Error} dist/ or Go is missing, or something does not compile.
 */
export async function buildAll(progress: Progress): Promise<Executables> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tower-of-omens', 'conformance')
  mkdirSync(cache, { recursive: true })
  const plugins: Record<string, string> = {}
  for (const half of ['server', 'agent']) {
    const path = join(root, 'dist', `keylime-attestor-${half}`)
    if (!existsSync(path)) throw new Error(`${path} is missing: run make build first`)
    plugins[half] = path
  }
  const roles = join(cache, 'roles')
  for (const name of ['example-plugin', 'catalog-plugin', 'server-attestor', 'agent-attestor', 'every-type-plugin']) {
    plugins[name.replace('-plugin', '')] = await bundle(name, roles)
  }
  const host = await goBuild({ folder: 'judges', cache, progress })
  const oldHost = await goBuild({ folder: 'judges/old', cache, progress })
  const examples = 'github.com/hashicorp/go-plugin/examples'
  const kv = await goBuild({ folder: 'judges', program: `${examples}/grpc`, cache, progress })
  const counter = await goBuild({ folder: 'judges', program: `${examples}/bidirectional`, cache, progress })
  const negotiated = await goBuild({ folder: 'judges', program: `${examples}/negotiated`, cache, progress })
  return { host, oldHost, exampleHosts: { kv, counter, negotiated }, plugins }
}

/** One file with a shebang, as a plugin is shipped. */
async function bundle(name: string, folder: string): Promise<string> {
  const outfile = join(folder, `${name}.cjs`)
  await build({
    absWorkingDir: root,
    entryPoints: [join(here, 'roles', `${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    banner: { js: '#!/usr/bin/env node' },
    logLevel: 'warning',
  })
  chmodSync(outfile, 0o755)
  return outfile
}

/** go-plugin's two examples give one name to two files; the host uses both. */
const LDFLAGS = '-X google.golang.org/protobuf/reflect/protoregistry.conflictPolicy=ignore'

interface GoProgram {
  /** Folder of test/conformance with the go.mod. */
  readonly folder: string
  /** Package to build; the folder itself by default. */
  readonly program?: string
  readonly cache: string
  readonly progress: Progress
}

async function goBuild({ folder, program = '.', cache, progress }: GoProgram): Promise<string> {
  const source = join(here, folder)
  const hash = createHash('sha256').update(program)
  const files = readdirSync(source).filter(
    (file) => (program === '.' && file.endsWith('.go')) || file.startsWith('go.'),
  )
  for (const file of files.toSorted()) hash.update(`${file}\n`).update(readFileSync(join(source, file)))
  const name = program === '.' ? folder.split('/').toReversed().join('-') : `example-${basename(program)}`
  const output = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(output)) return output
  for (const old of readdirSync(cache)) if (old.startsWith(`${name}-`)) rmSync(join(cache, old))
  progress(`building the Go program ${name} (once; minutes when its modules are not downloaded yet)`)
  const path = [process.env['PATH'], '/usr/local/go/bin'].join(delimiter)
  try {
    const args = ['go', 'build', '-ldflags', LDFLAGS, '-o', output, program]
    await run('nice', args, { cwd: source, env: { ...process.env, PATH: path } })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`cannot build test/conformance/${folder}: is Go 1.26 or newer installed? ${reason}`, {
      cause: error,
    })
  }
  return output
}

/**
 * Makes the environment of the hosts: the plugins' shebang must find the Node that runs this.
 *
 * @returns Environment with that Node first on the path.
 */
export function hostEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter) }
}
