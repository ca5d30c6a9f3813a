/**
 * The names of hosts, left for shells that complete them.
 *
 * @module
 */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FleetHost } from '../fleet.ts'

/**
 * Writes the names of hosts, one a line, where every shell may read them.
 *
 * @param folder Folder of the socket that answers questions.
 * @param fleet The hosts.
 */
export function writeHostNames(
  folder: string,
  { hosts }: { readonly hosts: readonly Pick<FleetHost, 'name'>[] },
): void {
  const file = join(folder, 'hosts')
  try {
    writeFileSync(file, hosts.map(({ name }) => `${name}\n`).join(''))
    // Also under the unit's UMask=0077.
    chmodSync(file, 0o644)
  } catch {
    // Completion has to do without.
  }
}
