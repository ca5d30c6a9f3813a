/**
 * Builds the image for SPIRE's official images, which hold no loader and no library: an OCI layout in dist/image, and
 * the sums of the files in it, which are other files than those of dist/. It needs no container engine.
 *
 * Usage: node scripts/image.ts [--dist DIR] [--out DIR]
 *        node scripts/image.ts --packages   prints the Debian packages in it, as apt-get takes them
 */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildImage } from './release/image/image.ts'
import { debianPackages } from './release/image/parts.ts'
import { root } from './release/lockfile.ts'

const { values } = parseArgs({
  options: {
    dist: { type: 'string', default: join(root, 'dist') },
    out: { type: 'string' },
    packages: { type: 'boolean', default: false },
  },
})
if (values.packages) process.stdout.write(`${debianPackages().join('\n')}\n`)
else print(resolve(values.dist))

function print(dist: string): void {
  const out = resolve(values.out ?? join(dist, 'image'))
  const { digest, sums } = buildImage(dist, out)
  process.stdout.write(`${sums}${digest}  ${out}\n`)
}
