import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defineSchema, hclConfig, type PluginOptions, upstreamAuthority } from '@tower-of-omens/spire-sdk'

const run = promisify(execFile)
const DEFAULT_DAYS = 1

const schema = defineSchema({
  cert_file: { kind: 'string', required: true, help: 'PEM file of the root certificate.' },
  key_file: { kind: 'string', required: true, help: 'PEM file of its private key.' },
})

interface Config {
  readonly certFile: string
  readonly keyFile: string
}

/** Has `openssl` sign a request as a CA; the SPIFFE ID comes from the request. */
async function sign(
  csr: Uint8Array,
  days: number,
  { certFile, keyFile }: Config,
  signal: AbortSignal,
): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'upstream-'))
  try {
    await writeFile(join(folder, 'csr'), csr)
    await writeFile(join(folder, 'ext'), 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n')
    const request = ['-req', '-inform', 'DER', '-in', join(folder, 'csr'), '-extfile', join(folder, 'ext')]
    const authority = ['-CA', certFile, '-CAkey', keyFile, '-copy_extensions', 'copy', '-days', String(days)]
    const { stdout } = await run('openssl', ['x509', ...request, ...authority, '-outform', 'DER'], {
      encoding: 'buffer',
      signal,
    })
    return stdout
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** UpstreamAuthority: signs the CA of spire-server with a root in two files. */
export const plugin: PluginOptions<Config> = {
  name: 'openssl-root',
  type: 'UpstreamAuthority',
  config: hclConfig(schema, ({ cert_file: certFile, key_file: keyFile }) => ({ certFile, keyFile })),
  services: [
    upstreamAuthority({
      async *mintX509Ca({ csr, preferredTtlSeconds }, config, { signal }) {
        const days = Math.ceil(preferredTtlSeconds / 86_400) || DEFAULT_DAYS
        const root = new X509Certificate(await readFile(config.certFile)).raw
        const asn1 = await sign(csr, days, config, signal)
        yield { x509CaChain: [{ asn1, tainted: false }], upstreamX509Roots: [{ asn1: root, tainted: false }] }
        // The root of two files does not change; an authority that rotates its roots would go on and yield them here.
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      },
    }),
  ],
}
