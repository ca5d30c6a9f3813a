/**
 * The rooms of plugins/ that others can install, compiled as they are published: JavaScript and its declarations.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { projectVersion, root } from './lockfile.ts'
import { emptyFolder } from './out-folder.ts'

const SCOPE = '@tower-of-omens/'

/** Rooms that are published, each before those that need it. */
export const PUBLISHED = ['go-plugin', 'spire-sdk'] as const

/** Names of everything a run leaves. */
const PACKED = new RegExp(`^(?:${PUBLISHED.join('|')}|[\\w.-]+\\.tgz)$`)

/** One package as it would be published. */
export interface PackedPackage {
  readonly name: string
  /** Folder that `npm publish` takes. */
  readonly folder: string
  /** Path of what `npm pack` made of it. */
  readonly tarball: string
}

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly private?: boolean
  readonly [field: string]: unknown
}

/**
 * Compiles and packs every published room.
 *
 * @param out Folder to write to; what it held of an earlier run is removed.
 * @returns Packages, in the order in which they must be published.
 * @throws {Error} The folder holds something else; or the compiler or npm fails, and what they said is on stderr.
 */
export function packAll(out: string): readonly PackedPackage[] {
  emptyFolder(out, PACKED)
  const compiled = compile()
  try {
    return PUBLISHED.map((room) => packRoom(room, compiled, out))
  } finally {
    rmSync(compiled, { recursive: true, force: true })
  }
}

/** Compiles all published rooms in one run; their folders lie side by side in the one returned. */
function compile(): string {
  mkdirSync(join(root, '.tmp'), { recursive: true })
  const work = mkdtempSync(join(root, '.tmp/pack-'))
  const options = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      noEmit: false,
      allowImportingTsExtensions: false,
      rewriteRelativeImportExtensions: true,
      declaration: true,
      rootDir: '../../plugins',
      outDir: '.',
    },
    include: PUBLISHED.map((room) => `../../plugins/${room}`),
    exclude: PUBLISHED.map((room) => `../../plugins/${room}/examples`),
  }
  writeFileSync(join(work, 'tsconfig.json'), JSON.stringify(options))
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(work, 'tsconfig.json')], { stdio: 'inherit' })
  return work
}

function packRoom(room: string, compiled: string, out: string): PackedPackage {
  const source = join(root, 'plugins', room)
  const folder = join(out, room)
  cpSync(join(compiled, room), join(folder, 'dist'), { recursive: true })
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  for (const beside of ['README.md', 'docs', 'examples']) {
    if (existsSync(join(source, beside))) cpSync(join(source, beside), join(folder, beside), { recursive: true })
  }
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(publishedManifest(manifest), null, 2)}\n`)
  const args = ['pack', '--silent', '--pack-destination', out, folder]
  const tarball = execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim()
  return { name: manifest.name, folder, tarball: join(out, basename(tarball)) }
}

/**
 * Turns the manifest of a room into that of its package: doors lead to what was compiled, types first, and a dependency
 * may be any compatible version, since classes of two copies of gRPC are no match for each other.
 *
 * @param manifest The room's own, whose doors are TypeScript.
 * @returns The manifest to publish.
 */
export function publishedManifest(manifest: Manifest): Readonly<Record<string, unknown>> {
  const { private: _private, exports: doors, ...rest } = manifest
  const compiled = Object.entries(doors).map(([door, file]) => {
    const stem = file.replace('./', './dist/').replace(/\.ts$/, '')
    return [door, { types: `${stem}.d.ts`, default: `${stem}.js` }]
  })
  return {
    ...rest,
    dependencies: Object.fromEntries(
      Object.entries(rest.dependencies).map(([name, version]) => [
        name,
        name.startsWith(SCOPE) ? version : `^${version}`,
      ]),
    ),
    version: projectVersion(),
    exports: { ...Object.fromEntries(compiled), './package.json': './package.json' },
    files: ['dist', 'docs', 'examples'],
    publishConfig: { access: 'public' },
  }
}
