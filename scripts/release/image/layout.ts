/**
 * An OCI image layout: the folder that registries' tools copy an image from.
 *
 * @see OCI image specification 1.1, image-layout.md, manifest.md, config.md
 * @module
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SOURCE_DATE_EPOCH } from '../deb.ts'
import { projectVersion } from '../lockfile.ts'

/** A blob as a manifest names it. */
interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const CREATED = new Date(SOURCE_DATE_EPOCH * 1000).toISOString()

/**
 * Writes an image of one layer, for amd64.
 *
 * @param tar Path of the layer.
 * @param out Empty folder, which becomes the layout.
 * @returns Digest of the manifest, `sha256:<hex>`: what a deployment pins.
 * @throws {Error} gzip is missing.
 */
export function writeLayout(tar: string, out: string): string {
  mkdirSync(join(out, 'blobs/sha256'), { recursive: true })
  const diffId = digestOf(readFileSync(tar))
  const layer = writeBlob(out, 'application/vnd.oci.image.layer.v1.tar+gzip', compressed(tar))
  const config = writeJson(out, 'application/vnd.oci.image.config.v1+json', configOf(diffId))
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = writeJson(out, mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] })
  const named = {
    ...manifest,
    platform: { architecture: 'amd64', os: 'linux' },
    annotations: { 'org.opencontainers.image.ref.name': projectVersion() },
  }
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [named] }
  writeFileSync(join(out, 'index.json'), JSON.stringify(index))
  writeFileSync(join(out, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  return manifest.digest
}

function configOf(diffId: string): object {
  return {
    created: CREATED,
    architecture: 'amd64',
    os: 'linux',
    config: {
      // Nothing here needs root: the files are read and copied.
      User: '65532:65532',
      Labels: {
        'org.opencontainers.image.title': 'tower-of-omens',
        'org.opencontainers.image.version': projectVersion(),
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: CREATED, comment: 'plugins, and the libraries they need' }],
  }
}

/** By gzip itself: what a library of compression gives can differ between processors. */
function compressed(tar: string): Buffer {
  const packed = `${tar}.gz`
  const file = openSync(packed, 'w')
  try {
    execFileSync('gzip', ['-n', '-6', '-c', tar], { stdio: ['ignore', file, 'inherit'] })
  } finally {
    closeSync(file)
  }
  return readFileSync(packed)
}

function writeJson(out: string, mediaType: string, value: object): Descriptor {
  return writeBlob(out, mediaType, Buffer.from(JSON.stringify(value)))
}

function writeBlob(out: string, mediaType: string, bytes: Buffer): Descriptor {
  const digest = digestOf(bytes)
  writeFileSync(join(out, 'blobs', digest.replace(':', '/')), bytes)
  return { mediaType, digest, size: bytes.length }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
