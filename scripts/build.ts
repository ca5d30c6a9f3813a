/**
 * Builds dist/: each attestor as one `.cjs` file and as one executable that needs no node_modules.
 *
 * Two builds of the same tree are byte-identical, so that an operator can compare `plugin_checksum` with a build of
 * their own: esbuild is deterministic, and Node makes the code cache under `--predictable` from relative paths.
 *
 * Usage: node scripts/build.ts [--out DIR] [--arch x64|arm64] [--cjs-only]
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build, type Plugin } from 'esbuild'
import { projectVersion, root } from './release/lockfile.ts'
import { pinnedNode } from './release/pinned-node.ts'
import { withoutDebugSections } from './release/slim-elf.ts'

const HALVES = [
  { name: 'keylime-attestor-server', entry: 'server-attestor/main.ts' },
  { name: 'keylime-attestor-agent', entry: 'agent-attestor/main.ts' },
] as const

/** Oldest Node that runs the `.cjs` form: undici 8 needs it. */
const NODE_TARGET = 'node22.19'

/**
 * Fixed flags of the executable.
 *
 * A young generation of 4 MB is large enough for 32 attestations in flight: what they leave behind dies there, and is
 * collected a quarter as often as with 1 MB, at the same memory. One helper thread of V8 does as well as four and takes
 * 8 MB less. The inspector must not open when SPIRE's SIGUSR1 (reconfigure) reaches the process group.
 */
const EXEC_ARGV = ['--max-semi-space-size=4', '--v8-pool-size=1', '--disable-sigusr1', '--no-warnings']

// grpc-js loads proto-loader only to serve channelz, which we switch off; without it the program is smaller and starts sooner.
const withoutProtoLoader: Plugin = {
  name: 'without-proto-loader',
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^@grpc\/proto-loader$/ }, (args) => ({ path: args.path, namespace: 'left-out' }))
    pluginBuild.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
      contents: 'module.exports = {}',
      loader: 'js',
    }))
  },
}

async function bundle(entry: string, outfile: string): Promise<string[]> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: NODE_TARGET,
    legalComments: 'none',
    banner: { js: '#!/usr/bin/env node' },
    define: { 'process.env.TOWER_VERSION': JSON.stringify(projectVersion()) },
    plugins: [withoutProtoLoader],
    metafile: true,
    logLevel: 'warning',
  })
  chmodSync(outfile, 0o755)
  return Object.keys(result.metafile.inputs)
}

function buildExecutable(name: string, outDir: string, arch: string): void {
  const native = arch === process.arch
  const work = join(outDir, '.sea')
  mkdirSync(work, { recursive: true })
  writeFileSync(join(work, `node-${arch}`), withoutDebugSections(readFileSync(pinnedNode(arch))))
  // Without the shebang line, and by a relative path, so that neither the place of the checkout nor the form changes the bytes.
  const source = readFileSync(join(outDir, `${name}.cjs`), 'utf8').replace(/^#!.*\n/, '')
  writeFileSync(join(work, `${name}.cjs`), source)
  const config = {
    main: `${name}.cjs`,
    output: name,
    executable: `node-${arch}`,
    disableExperimentalSEAWarning: true,
    // A code cache is bound to the processor that made it.
    useCodeCache: native,
    execArgv: EXEC_ARGV,
    execArgvExtension: 'none',
  }
  writeFileSync(join(work, `${name}.json`), JSON.stringify(config))
  execFileSync(pinnedNode(process.arch), ['--predictable', '--build-sea', `${name}.json`], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'] },
  })
  const target = join(outDir, native ? name : `${name}-${arch}`)
  chmodSync(join(work, name), 0o755)
  // Renamed, not written over: a plugin that runs from the old file goes on.
  renameSync(join(work, name), target)
}

/** Builds both halves. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(root, 'dist') },
      arch: { type: 'string', default: process.arch },
      'cjs-only': { type: 'boolean', default: false },
    },
  })
  const outDir = resolve(values.out)
  mkdirSync(outDir, { recursive: true })
  const started = Date.now()
  const inputs = new Set<string>()
  for (const half of HALVES) {
    for (const input of await bundle(half.entry, join(outDir, `${half.name}.cjs`))) inputs.add(input)
  }
  if (!values['cjs-only']) for (const half of HALVES) buildExecutable(half.name, outDir, values.arch)
  rmSync(join(outDir, '.sea'), { recursive: true, force: true })
  writeFileSync(join(outDir, 'bundled-modules.json'), `${JSON.stringify(packagesOf(inputs), null, 2)}\n`)
  writeSums(outDir)
  process.stderr.write(`built ${outDir} in ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

/** Names the packages whose code is in the bundles, for the licence list and the bill of materials. */
function packagesOf(inputs: ReadonlySet<string>): string[] {
  const names = new Set<string>()
  for (const input of inputs) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)
    if (match?.[1] !== undefined) names.add(match[1])
  }
  return [...names].toSorted()
}

function writeSums(outDir: string): void {
  const files = HALVES.flatMap((half) => [half.name, `${half.name}-arm64`, `${half.name}-x64`, `${half.name}.cjs`])
    .map((name) => join(outDir, name))
    .filter((path) => existsSync(path))
  const lines = files.map(
    (path) => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}`,
  )
  writeFileSync(join(outDir, 'SHA256SUMS'), `${lines.join('\n')}\n`)
}

await main()
