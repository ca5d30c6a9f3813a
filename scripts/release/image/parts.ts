/**
 * What goes into the image besides our programs: packages of Debian, pinned by hash and kept in this user's cache.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** One package of Debian 12 for amd64. */
interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly sha256: string
  /** Names that the programs ask for. */
  readonly libraries: readonly string[]
}

/** Where Debian's fixes of these packages are followed by hand: a change of a line changes the image. */
const DEBIAN: readonly DebianPackage[] = [
  {
    name: 'libc6',
    version: '2.36-9+deb12u14',
    sha256: 'ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf',
    libraries: ['ld-linux-x86-64.so.2', 'libc.so.6', 'libdl.so.2', 'libm.so.6', 'libpthread.so.0'],
  },
  {
    name: 'libstdc++6',
    version: '12.2.0-14+deb12u1',
    sha256: '5cd3171216d4ab0fc911cfe9c35509bf2dd8f47761c43b7f6a4296701551a24d',
    libraries: ['libstdc++.so.6'],
  },
  {
    name: 'libgcc-s1',
    version: '12.2.0-14+deb12u1',
    sha256: '3016e62cb4b7cd8038822870601f5ed131befe942774d0f745622cc77d8a88f7',
    libraries: ['libgcc_s.so.1'],
  },
  {
    name: 'libatomic1',
    version: '12.2.0-14+deb12u1',
    sha256: 'fbd4e154a6b444229ea002cc209df099209c0adc09102e5fd21239a3d2b55e2d',
    libraries: ['libatomic.so.1'],
  },
  // The licences that the copyright files name.
  {
    name: 'base-files',
    version: '12.4+deb12u15',
    sha256: '3eb1ea6d85488f488cc2a163b98ad640ef88cee4c79287cf14e361aaf6206f47',
    libraries: [],
  },
  // The copyright file of three of these.
  {
    name: 'gcc-12-base',
    version: '12.2.0-14+deb12u1',
    sha256: '1896a2aacf4ad681ff5eacc24a5b0ca4d5d9c9b9c9e4b6de5197bc1e116ea619',
    libraries: [],
  },
]

const COPYRIGHTS = ['usr/share/doc/{libc6,gcc-12-base}/copyright', 'usr/share/common-licenses/{LGPL-2.1,GPL-3}']

/** One file of an unpacked package, and its name in the image. */
export interface PackagedFile {
  readonly from: string
  readonly name: string
}

/** Names the packages as apt-get takes them, each with its version. */
export function debianPackages(): readonly string[] {
  return DEBIAN.map(({ name, version }) => `${name}=${version}`)
}

/** Lists the packages whose code is in the image, by the package URL that a scanner for known holes looks for. */
export function imageLibraries(): readonly {
  readonly name: string
  readonly version: string
  readonly purl: string
}[] {
  return DEBIAN.filter(({ libraries }) => libraries.length > 0).map(({ name, version }) => ({
    name,
    version,
    purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=amd64&distro=debian-12`,
  }))
}

/**
 * Unpacks the packages, fetching what the cache lacks.
 *
 * @param into Empty folder.
 * @param cache Folder of the cache; default that of this user.
 * @returns The libraries, and copyright files by the name of their package.
 * @throws {Error} A package cannot be had, or its hash is another, and then it is removed.
 */
export function unpackLibraries(
  into: string,
  cache: string = imageCache(),
): { readonly libraries: readonly PackagedFile[]; readonly copyrights: readonly PackagedFile[] } {
  mkdirSync(cache, { recursive: true })
  for (const one of DEBIAN) {
    execFileSync('dpkg-deb', ['-x', debianArchive(one, cache), into], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const copyrights = globSync(COPYRIGHTS, { cwd: into }).map((path) => ({
    from: join(into, path),
    name: basename(path) === 'copyright' ? basename(dirname(path)) : basename(path),
  }))
  const names = DEBIAN.flatMap(({ libraries }) => libraries)
  return { libraries: names.map((name) => ({ from: libraryOf(name, into), name })), copyrights }
}

function imageCache(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tower-of-omens', 'image')
}

function debianArchive({ name, version, sha256 }: DebianPackage, cache: string): string {
  const archive = join(cache, `${name}_${version}_amd64.deb`)
  if (!existsSync(archive)) {
    try {
      const args = ['--quiet', 'download', `${name}=${version}`]
      execFileSync('apt-get', args, { cwd: cache, stdio: ['ignore', 'ignore', 'pipe'] })
    } catch (cause) {
      throw new Error(
        `cannot fetch ${name} ${version} of Debian 12: put its amd64 package into ${cache}, ` +
          'or, when Debian has a newer one, move the version in scripts/release/image/parts.ts',
        { cause },
      )
    }
  }
  requireHash(archive, sha256)
  return archive
}

function requireHash(path: string, expected: string): void {
  const found = createHash('sha256').update(readFileSync(path)).digest('hex')
  if (found === expected) return
  rmSync(path)
  throw new Error(`${path}: expected SHA-256 ${expected}, found ${found}; it was removed, try again`)
}

function libraryOf(name: string, tree: string): string {
  const found = globSync([`lib/x86_64-linux-gnu/${name}`, `usr/lib/x86_64-linux-gnu/${name}`], { cwd: tree })[0]
  if (found === undefined) throw new Error(`the packages hold no ${name}`)
  return join(tree, found)
}
