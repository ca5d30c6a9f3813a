/** The Node binary that goes into an executable: the one pinned in package-lock.json, never the machine's. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { lockedPackage, root } from './lockfile.ts'

/**
 * Returns the path of the pinned Node binary for an architecture, fetching it when npm left it out for this processor.
 *
 * @param arch `x64` or `arm64`.
 * @throws {Error} The package cannot be had, or its hash is not the lock file's.
 */
export function pinnedNode(arch: string): string {
  const installed = join(root, 'node_modules', `node-linux-${arch}`, 'bin', 'node')
  return existsSync(installed) ? installed : fetchNode(arch)
}

function fetchNode(arch: string): string {
  const { name, version, integrity } = lockedPackage(`node-linux-${arch}`)
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
