/** The image that brings both attestors into SPIRE's official images. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectVersion } from '../lockfile.ts'
import { emptyFolder } from '../out-folder.ts'
import { buildLayer } from './layer.ts'
import { writeLayout } from './layout.ts'
import { packAlike } from './reproducible-tar.ts'

/** What was built. */
export interface BuiltImage {
  /** Of the manifest, `sha256:<hex>`. */
  readonly digest: string
  /** SHA-256 of each file that a SPIRE host can be told to check, one a line. */
  readonly sums: string
}

/**
 * Builds the OCI layout.
 *
 * @param dist Folder that holds the built executables.
 * @param out Folder for the layout; an earlier one is replaced.
 * @throws {Error} This machine is no x64, a part cannot be had, or `out` holds something else.
 */
export function buildImage(dist: string, out: string): BuiltImage {
  if (process.arch !== 'x64') throw new Error(`the image is built on x64 alone, this machine is ${process.arch}`)
  emptyFolder(out, /^(?:blobs|index\.json|oci-layout)$/)
  const work = mkdtempSync(join(tmpdir(), 'tower-image-'))
  try {
    const { tar, sums } = buildLayer(dist, work)
    return { digest: writeLayout(tar, out), sums }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * Builds the image as it is released: one archive, and the sums of what is in it.
 *
 * @param dist Folder that holds the built executables, and gets the two files.
 * @throws {Error} As `buildImage`.
 */
export function releaseImage(dist: string): void {
  const layout = join(dist, 'image')
  const { sums } = buildImage(dist, layout)
  const name = join(dist, `tower-of-omens_${projectVersion()}_amd64.oci`)
  packAlike(layout, ['blobs', 'index.json', 'oci-layout'], `${name}.tar`)
  writeFileSync(`${name}.SHA256SUMS`, sums)
  rmSync(layout, { recursive: true })
}
