/**
 * Builds dist/: each attestor and the operator's tool as one `.cjs` file and as one executable that needs no node_modules.
 *
 * Two builds of the same tree are byte-identical, so that an operator can compare `plugin_checksum` with a build of
 * their own.
 *
 * Usage: node scripts/build.ts [--out DIR] [--arch x64|arm64] [--cjs-only]
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bundlePlugin } from '../plugins/go-plugin/bundle/index.ts'
import { projectVersion, root } from './release/lockfile.ts'
import { pinnedNode } from './release/pinned-node.ts'

const PROGRAMS = [
  { name: 'keylime-attestor-server', entry: 'server-attestor/main.ts' },
  { name: 'keylime-attestor-agent', entry: 'agent-attestor/main.ts' },
  // A file of its own: the plugins' checksums must not change with the operator's tool.
  { name: 'towerkeep', entry: 'operator/main.ts' },
  { name: 'bundle-publisher-keeper', entry: 'bundle-publisher-keeper/main.ts' },
  { name: 'key-manager-tpm', entry: 'key-manager-tpm/main.ts' },
] as const

/** Oldest Node that runs the `.cjs` form: undici 8 needs it. */
const NODE_TARGET = 'node22.19'

/**
 * Flags of the executables, besides those of every plugin's.
 *
 * 32 attestations in flight hold 3 MB: with a young generation of 4 MB a collection copies most of it. With 8 MB an
 * attestation takes 7 % less CPU, and memory goes past the 135 MB that are its goal. One helper thread of V8 does as well as four and takes
 * 8 MB less.
 */
const FLAGS = ['--max-semi-space-size=4', '--v8-pool-size=1']

// undici's own name for "one parser of HTTP is enough", as Node.js builds it in: no environment variable chooses another.
const DEFINED = { esbuildDetection: 'true' }

/** Builds every program. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(root, 'dist') },
      arch: { type: 'string', default: process.arch },
      'cjs-only': { type: 'boolean', default: false },
    },
  })
  const { arch, 'cjs-only': cjsOnly } = values
  const outDir = resolve(values.out)
  const started = Date.now()
  const inputs = new Set<string>()
  for (const program of PROGRAMS) {
    for (const input of await bundle(program, outDir, arch, !cjsOnly)) inputs.add(input)
  }
  writeFileSync(join(outDir, 'bundled-modules.json'), `${JSON.stringify(packagesOf(inputs), null, 2)}\n`)
  writeSums(outDir)
  process.stderr.write(`built ${outDir} in ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

async function bundle(
  { name, entry }: (typeof PROGRAMS)[number],
  outDir: string,
  arch: string,
  executable: boolean,
): Promise<readonly string[]> {
  const foreign = arch !== process.arch
  const { inputs } = await bundlePlugin({
    folder: root,
    entry,
    out: join(outDir, foreign ? `${name}-${arch}` : name),
    script: join(outDir, `${name}.cjs`),
    version: projectVersion(),
    target: NODE_TARGET,
    flags: FLAGS,
    define: DEFINED,
    executable,
    ...(executable ? { node: pinnedNode(arch), builder: pinnedNode(process.arch), foreign } : {}),
  })
  return inputs
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
  const files = PROGRAMS.flatMap(({ name }) => [name, `${name}-arm64`, `${name}-x64`, `${name}.cjs`])
    .map((name) => join(outDir, name))
    .filter((path) => existsSync(path))
  const lines = files.map(
    (path) => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}`,
  )
  writeFileSync(join(outDir, 'SHA256SUMS'), `${lines.join('\n')}\n`)
}

await main()
