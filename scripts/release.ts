/**
 * Builds a release in dist/: executables for x64 and arm64, the `.cjs` forms, Debian and npm packages, an image, licences,
 * a bill of materials and SHA256SUMS over all of it. The same tree gives the same bytes on any machine.
 *
 * Usage: node scripts/release.ts [--out DIR]   builds
 *        node scripts/release.ts --tag         tags the commit with its version and its entry of CHANGELOG.md
 *        node scripts/release.ts --notes TAG   prints that entry
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { billOfMaterials, bundledLicences } from './release/bill-of-materials.ts'
import { notesOf, tagRelease } from './release/changelog.ts'
import { buildDebs } from './release/deb.ts'
import { releaseImage } from './release/image/image.ts'
import { root } from './release/lockfile.ts'
import { versionsOf } from './release/node-parts.ts'
import { packAll } from './release/npm-packages.ts'
import { emptyFolder, RELEASE_FILES } from './release/out-folder.ts'
import { pinnedNode } from './release/pinned-node.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist') },
    tag: { type: 'boolean', default: false },
    notes: { type: 'string' },
  },
})
if (values.notes !== undefined) process.stdout.write(`${notesOf(values.notes)}\n`)
else if (values.tag) process.stdout.write(`tagged ${tagRelease()}: push the commit, then the tag\n`)
else buildRelease(resolve(values.out))

function buildRelease(dist: string): void {
  emptyFolder(dist, RELEASE_FILES)
  for (const arch of ['x64', 'arm64']) {
    execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--out', dist, '--arch', arch], {
      stdio: 'inherit',
    })
  }
  const bundled = JSON.parse(readFileSync(join(dist, 'bundled-modules.json'), 'utf8')) as string[]
  writeFileSync(join(dist, 'LICENSES.txt'), bundledLicences(bundled))
  for (const arch of ['x64', 'arm64']) buildDebs(dist, arch)
  releaseImage(dist)
  for (const { tarball } of packAll(join(dist, 'npm'))) renameSync(tarball, join(dist, basename(tarball)))
  rmSync(join(dist, 'npm'), { recursive: true })
  const shipped = readdirSync(dist).filter((name) => !name.endsWith('.json') && name !== 'SHA256SUMS')
  const sums = new Map(shipped.toSorted().map((name) => [name, sha256(join(dist, name))]))
  writeFileSync(join(dist, 'sbom.cdx.json'), billOfMaterials(bundled, sums, versionsOf(pinnedNode(process.arch))))
  sums.set('sbom.cdx.json', sha256(join(dist, 'sbom.cdx.json')))
  writeFileSync(join(dist, 'SHA256SUMS'), [...sums].map(([name, sum]) => `${sum}  ${name}\n`).join(''))
  process.stderr.write(`release in ${dist}: ${[...sums.keys()].join(', ')}\n`)
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
