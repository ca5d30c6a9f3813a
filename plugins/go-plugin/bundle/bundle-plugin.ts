/**
 * A plugin and everything it imports, in one script and in one executable.
 *
 * Two runs over the same sources give the same bytes: esbuild is deterministic, and Node makes the code cache from
 * relative paths.
 *
 * @module
 */
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type * as esbuild from 'esbuild'
import { type ExecutableOptions, makeExecutable } from './executable.ts'

const DEFAULT_TARGET = 'node22'

/** Lines as long as that, so that a stack trace still says where. */
const LINE_CHARACTERS = 160

/** What to bundle, and into what. */
export interface BundleOptions extends ExecutableOptions {
  /** Main module, TypeScript or JavaScript; it calls `serveGoPlugin` or `servePlugin`. */
  readonly entry: string
  /** Path of the executable to make. */
  readonly out: string
  /** Path of the script; default `out` with `.cjs` at its end. */
  readonly script?: string
  /** Becomes `process.env.PLUGIN_VERSION` of the bundle. */
  readonly version?: string | undefined
  /** Oldest Node that shall run the script, in esbuild's spelling; default `node22`. */
  readonly target?: string
  /** Names that become texts of JavaScript, as esbuild's `define`. */
  readonly define?: Readonly<Record<string, string>>
  /** False: only the script is made. Default true. */
  readonly executable?: boolean
  /** Folder that paths are relative to; default the working directory. */
  readonly folder?: string
}

/** What was made. */
export interface Bundled {
  /** The script, with a shebang line. */
  readonly script: string
  /** The executable; absent when none was wanted. */
  readonly executable?: string
  /** Files that went in, relative to the folder. */
  readonly inputs: readonly string[]
}

/**
 * Bundles a plugin.
 *
 * @param options See `BundleOptions`.
 * @returns Absolute paths of what was made, and what went in.
 * @throws {Error} esbuild is not installed, the sources do not build, or this Node cannot make executables.
 */
export async function bundlePlugin(options: BundleOptions): Promise<Bundled> {
  const folder = resolve(options.folder ?? '.')
  const out = resolve(folder, options.out)
  const script = resolve(folder, options.script ?? `${out}.cjs`)
  await mkdir(dirname(out), { recursive: true })
  const inputs = await bundleScript(options, folder, script)
  if (options.executable === false) return { script, inputs }
  await makeExecutable(await withoutBlanks(script), out, options)
  return { script, executable: out, inputs }
}

async function bundleScript(options: BundleOptions, folder: string, script: string): Promise<readonly string[]> {
  const { build } = await loadEsbuild()
  const { metafile } = await build({
    absWorkingDir: folder,
    entryPoints: [options.entry],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: options.target ?? DEFAULT_TARGET,
    legalComments: 'none',
    banner: { js: `#!/usr/bin/env node\n${versionGuard(options)}` },
    define: {
      ...options.define,
      ...(options.version !== undefined && { 'process.env.PLUGIN_VERSION': JSON.stringify(options.version) }),
    },
    plugins: [withoutProtoLoader],
    metafile: true,
    logLevel: 'warning',
  })
  await chmod(script, 0o755)
  return Object.keys(metafile.inputs)
}

// What is read stays in the script. In the executable the text lies twice, in the file and in the memory of the process.
async function withoutBlanks(script: string): Promise<string> {
  const { transform } = await loadEsbuild()
  const text = (await readFile(script, 'utf8')).replace(/^#!.*\n/, '')
  const { code } = await transform(text, { minifyWhitespace: true, legalComments: 'none', lineLimit: LINE_CHARACTERS })
  return code
}

// Code for any Node.js, however old, that ends with the reason where the bundle would end without one.
function versionGuard({ out, target = DEFAULT_TARGET }: BundleOptions): string {
  const [, major, minor = '0'] = /^node(\d+)(?:\.(\d+))?/.exec(target) ?? []
  if (major === undefined) throw new Error(`target is ${JSON.stringify(target)}, expected such as node22.19`)
  const say = JSON.stringify(`${basename(out)} needs Node.js ${major}.${minor} or newer, this is `)
  return [
    `var nodeVersion = process.versions.node.split('.').map(Number)`,
    `if (nodeVersion[0] < ${major} || (nodeVersion[0] === ${major} && nodeVersion[1] < ${minor})) {`,
    `  require('fs').writeSync(2, JSON.stringify({ '@level': 'error', '@message': ${say} + process.version }) + '\\n')`,
    `  process.exit(1)`,
    `}`,
  ].join('\n')
}

async function loadEsbuild(): Promise<typeof esbuild> {
  try {
    return await import('esbuild')
  } catch (error) {
    throw new Error('esbuild is not installed beside this package: run `npm install --save-dev esbuild`', {
      cause: error,
    })
  }
}

// grpc-js loads proto-loader only to serve channelz, which we switch off; without it the program is smaller and starts sooner.
const withoutProtoLoader: esbuild.Plugin = {
  name: 'without-proto-loader',
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^@grpc\/proto-loader$/ }, (args) => ({ path: args.path, namespace: 'left-out' }))
    pluginBuild.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
      contents: 'module.exports = {}',
      loader: 'js',
    }))
  },
}
