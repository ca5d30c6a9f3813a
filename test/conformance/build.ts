/**
 * Builds what the conformance cases need: the plugins of roles/ as single files, and the Go hosts that load them.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { cacheDir } from '../lab/parts/cache.ts'
import { requireGo } from '../lab/parts/go.ts'
import { SPIRE_VERSION } from '../lab/parts/spire.ts'
import type { Judge } from './conformance-case.ts'

const here = import.meta.dirname
const judges = join(here, 'judges')
/** Module files beside the one of the default version are named for theirs. */
const ownModules = join(judges, `${SPIRE_VERSION}.mod`)
const modules = existsSync(ownModules) ? ownModules : join(judges, 'go.mod')
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
 * @throws {Error} dist/ or Go is missing, or something does not compile.
 */
export async function buildAll(progress: Progress): Promise<Executables> {
  const cache = join(cacheDir(), 'conformance')
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
  const go = await requireGo({ update: progress })
  const built = (name: string, program = '.'): Promise<string> =>
    goBuild({ name, program, modules, cache, go, progress })
  const examples = 'github.com/hashicorp/go-plugin/examples'
  return {
    host: await built('judge'),
    oldHost: await goBuild({ name: 'old-judge', program: '.', modules: OLD_MODULES, cache, go, progress }),
    exampleHosts: {
      kv: await built('example-grpc', `${examples}/grpc`),
      counter: await built('example-bidirectional', `${examples}/bidirectional`),
      negotiated: await built('example-negotiated', `${examples}/negotiated`),
    },
    plugins,
  }
}

/**
 * Names a judge with its version.
 *
 * @returns For instance "SPIRE catalog 1.15.3".
 */
export function judgeName(via: Judge): string {
  if (via === 'real SPIRE') return `${via} ${SPIRE_VERSION}`
  if (via === 'SPIRE catalog') return `${via} ${versionIn(modules, 'spiffe/spire')}`
  return `go-plugin ${versionIn(via === 'go-plugin' ? modules : OLD_MODULES, 'hashicorp/go-plugin')}`
}

function versionIn(file: string, module: string): string {
  return new RegExp(`github.com/${module} v(\\S+)`).exec(readFileSync(file, 'utf8'))?.[1] ?? 'of no known version'
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

const OLD_MODULES = join(judges, 'old', 'go.mod')

/** go-plugin's two examples give one name to two files; the host uses both. */
const LDFLAGS = '-X google.golang.org/protobuf/reflect/protoregistry.conflictPolicy=ignore'

interface GoProgram {
  /** Begins the file's name in the cache. */
  readonly name: string
  /** Package to build; `.` for the sources beside the module file. */
  readonly program: string
  /** Path of the module file. */
  readonly modules: string
  readonly cache: string
  readonly go: string
  readonly progress: Progress
}

async function goBuild({ name, program, modules: file, cache, go, progress }: GoProgram): Promise<string> {
  const source = dirname(file)
  const hash = createHash('sha256').update(program)
  const sources = program === '.' ? readdirSync(source).filter((each) => each.endsWith('.go')) : []
  for (const each of [basename(file), ...sources.toSorted()])
    hash.update(`${each}\n`).update(readFileSync(join(source, each)))
  const output = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(output)) return output
  progress(`building the Go program ${name} (once; minutes when its modules are not downloaded yet)`)
  try {
    const args = [go, 'build', '-modfile', file, '-ldflags', LDFLAGS, '-o', output, program]
    await run('nice', args, { cwd: source })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`cannot build ${name} of test/conformance/judges: ${reason}`, { cause: error })
  }
  return output
}

/**
 * Makes the environment of the hosts: the plugins' shebang must find the Node that runs this, and go-plugin's `kv` host is
 * told to speak gRPC.
 *
 * @returns Environment with that Node first on the path.
 */
export function hostEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    KV_PROTO: 'grpc',
    PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
  }
}
