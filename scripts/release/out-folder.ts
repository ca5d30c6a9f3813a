/** Folders that builds write to: emptied only of what a build made. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Names of everything a release leaves in its folder. */
export const RELEASE_FILES: RegExp =
  /^(?:(?:keylime-attestor-(?:server|agent)|towerkeep|bundle-publisher-keeper|key-manager-tpm)(?:-x64|-arm64)?(?:\.cjs)?|[\w.+-]+\.(?:deb|tgz|oci\.tar|oci\.SHA256SUMS)|LICENSES\.txt|SHA256SUMS|sbom\.cdx\.json|bundled-modules\.json|npm|image|\.sea-[\w-]+)$/

/**
 * Empties a folder for a build, or makes it.
 *
 * @param folder Path.
 * @param ours What names of files and folders in it may be removed.
 * @throws {Error} It holds something else, and nothing was removed; or it is no folder.
 */
export function emptyFolder(folder: string, ours: RegExp): void {
  mkdirSync(folder, { recursive: true })
  const entries = readdirSync(folder)
  const stray = entries.find((name) => !ours.test(name))
  if (stray !== undefined) {
    throw new Error(
      `${folder} holds ${stray}, which no build made: name a folder that is new, empty or of an earlier build`,
    )
  }
  for (const name of entries) rmSync(join(folder, name), { recursive: true })
}
