/** What package-lock.json says of a package: the pinned version, its hash and its licence. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Root of the checkout. */
export const root: string = resolve(import.meta.dirname, '..', '..')

/** One package as the lock file pins it. */
export interface LockedPackage {
  readonly name: string
  readonly version: string
  /** Subresource integrity, `sha512-<base64>`. */
  readonly integrity: string
  /** SPDX expression. */
  readonly license: string
}

/**
 * Reads one package's entry from package-lock.json.
 *
 * @param name Package name as in `node_modules/`.
 * @throws {Error} The lock file has no such package, or pins it without a hash.
 */
export function lockedPackage(name: string): LockedPackage {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Partial<LockedPackage> | undefined>
  }
  const entry = lock.packages[`node_modules/${name}`]
  if (entry?.version === undefined || entry.integrity === undefined) {
    throw new Error(`package-lock.json does not pin ${name} with a hash: run \`npm install\` and commit the lock file`)
  }
  return { name, version: entry.version, integrity: entry.integrity, license: entry.license ?? 'NOASSERTION' }
}

/** Reads this project's own version. */
export function projectVersion(): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
}
