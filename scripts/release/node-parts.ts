/**
 * What Node.js itself is made of, as a scanner for known holes looks for it: by CPE and package URL.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'

/** One part of a Node.js binary in CycloneDX's words. */
export interface NodePart {
  readonly type: 'library' | 'platform'
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly cpe?: string
}

/** Part by its name in `process.versions`: vendor and product of its CPE, and its usual name. */
const PARTS: Readonly<Record<string, readonly [vendor: string, product: string, name?: string]>> = {
  acorn: ['acornjs', 'acorn'],
  ada: ['ada-url', 'ada'],
  ares: ['c-ares', 'c-ares', 'c-ares'],
  brotli: ['google', 'brotli'],
  icu: ['unicode', 'international_components_for_unicode'],
  libffi: ['libffi_project', 'libffi'],
  llhttp: ['llhttp', 'llhttp'],
  nghttp2: ['nghttp2', 'nghttp2'],
  openssl: ['openssl', 'openssl'],
  simdjson: ['simdjson', 'simdjson'],
  simdutf: ['simdutf', 'simdutf'],
  sqlite: ['sqlite', 'sqlite'],
  undici: ['nodejs', 'undici'],
  uv: ['libuv', 'libuv', 'libuv'],
  uvwasi: ['nodejs', 'uvwasi'],
  v8: ['google', 'v8'],
  zlib: ['zlib', 'zlib'],
  zstd: ['facebook', 'zstandard'],
}
/** Versions of interfaces and of data, not of code; and of Node.js itself. */
const NO_PARTS: ReadonlySet<string> = new Set(['node', 'modules', 'napi', 'cldr', 'tz', 'unicode'])
const FROM_NPM: ReadonlySet<string> = new Set(['acorn', 'undici', 'amaro'])

/**
 * Lists Node.js and its parts.
 *
 * @param versions The binary's `process.versions`.
 * @returns Node.js first, then its parts by name; parts without a version are not in the binary.
 */
export function nodeParts(versions: Readonly<Record<string, string>>): readonly NodePart[] {
  const { node = '' } = versions
  const names = Object.keys(versions).filter((name) => !NO_PARTS.has(name) && versions[name] !== '')
  return [
    part('platform', 'node', node, ['nodejs', 'node.js']),
    ...names.toSorted().map((key) => {
      const known = PARTS[key]
      return part('library', known?.[2] ?? key, versions[key] ?? '', known)
    }),
  ]
}

/**
 * Asks a Node.js binary what it is made of.
 *
 * @param binary Path of one that runs on this machine.
 * @returns Its `process.versions`.
 */
export function versionsOf(binary: string): Readonly<Record<string, string>> {
  const text = execFileSync(binary, ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8', env: {} })
  return JSON.parse(text) as Record<string, string>
}

function part(
  type: NodePart['type'],
  name: string,
  version: string,
  known: readonly [string, string, string?] | undefined,
): NodePart {
  const purl = `pkg:${FROM_NPM.has(name) ? 'npm' : 'generic'}/${name}@${version}`
  // Node.js adds its own mark to some versions (14.6.202.34-node.34), which no list of holes knows.
  const plain = /^\d+(?:\.\d+)*[a-z]?/.exec(version)?.[0] ?? version
  return {
    type,
    'bom-ref': `node-part:${purl}`,
    name,
    version,
    purl,
    ...(known !== undefined && { cpe: `cpe:2.3:a:${known[0]}:${known[1]}:${plain}:*:*:*:*:*:*:*` }),
  }
}
