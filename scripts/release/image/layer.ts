/**
 * The image's only layer: programs that run where there is no loader and no library, and what they need, in `/plugins`.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundledLicences } from '../bill-of-materials.ts'
import { unpackLibraries } from './parts.ts'
import { rehomed } from './rehome-elf.ts'
import { packAlike } from './reproducible-tar.ts'

/** Programs in the image. */
const IMAGE_PROGRAMS = ['keylime-attestor-server', 'keylime-attestor-agent'] as const

/** Where the folder must be mounted: the programs name their loader by its whole path. */
const HOME = '/plugins'
const LOADER = 'ld-linux-x86-64.so.2'

/** A layer, as files beside each other. */
export interface Layer {
  /** Path of the tar file. */
  readonly tar: string
  /** SHA-256 of each file below `/plugins`, one a line, as `sha256sum` prints them. */
  readonly sums: string
}

/**
 * Builds the layer. The same programs give the same bytes.
 *
 * @param dist Folder that holds the built executables.
 * @param work Empty folder.
 * @throws {Error} A part cannot be had, or a program has no room for the names.
 */
export function buildLayer(dist: string, work: string): Layer {
  const plugins = join(work, 'tree/plugins')
  const { libraries, copyrights } = unpackLibraries(join(work, 'debian'))
  for (const name of IMAGE_PROGRAMS) rehome(join(dist, name), join(plugins, name))
  for (const { from, name } of libraries) install(from, join(plugins, 'lib', name), name === LOADER ? 0o755 : 0o644)
  for (const { from, name } of copyrights) install(from, join(plugins, 'licences', name), 0o644)
  writeFileSync(join(plugins, 'licences/tower-of-omens'), ownLicences(dist))
  const files = [...IMAGE_PROGRAMS, ...libraries.map(({ name }) => `lib/${name}`).toSorted()]
  const sums = files.map((file) => `${sha256(join(plugins, file))}  ${file}\n`).join('')
  writeFileSync(join(plugins, 'SHA256SUMS'), sums)
  const tar = join(work, 'layer.tar')
  packAlike(join(work, 'tree'), ['plugins'], tar)
  return { tar, sums }
}

function ownLicences(dist: string): string {
  return bundledLicences(JSON.parse(readFileSync(join(dist, 'bundled-modules.json'), 'utf8')) as string[])
}

/** Loader and libraries are named by whole paths, since what is relative to the program needs /proc to be found. */
function rehome(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, rehomed(readFileSync(from), `${HOME}/lib/${LOADER}`, `${HOME}/lib`))
  chmodSync(to, 0o755)
}

function install(from: string, to: string, mode: number): void {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
  chmodSync(to, mode)
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
