import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineSchema, hclConfig, type PluginOptions, RpcError, svidStore } from '@tower-of-omens/spire-sdk'

interface Config {
  readonly folder: string
}

const schema = defineSchema({
  folder: { kind: 'string', required: true, help: 'Folder that holds one folder an identity.' },
})

/** Reads the one selector of this store, `name:<folder>`, without which an entry has no place. */
function placeOf(metadata: readonly string[], { folder }: Config): string {
  const names = metadata.flatMap((value) => (value.startsWith('name:') ? [value.slice(5)] : []))
  const [name = ''] = names
  if (names.length !== 1 || !/^[A-Za-z0-9_-]+$/.test(name)) {
    throw new RpcError('INVALID_ARGUMENT', 'an entry needs one selector name:<folder>, of letters, digits, _ and -')
  }
  return join(folder, name)
}

const pem = (chain: readonly Uint8Array[]): string => chain.map((der) => new X509Certificate(der).toString()).join('')

/** SVIDStore: keeps each identity in a folder of its own, for a workload that cannot ask the agent. */
export const plugin: PluginOptions<Config> = {
  name: 'svid-folder',
  type: 'SVIDStore',
  config: hclConfig(schema, ({ folder }) => ({ folder })),
  services: [
    svidStore({
      async putX509Svid({ svid, metadata }, config) {
        const place = placeOf(metadata, config)
        await mkdir(place, { recursive: true, mode: 0o700 })
        const key = createPrivateKey({ key: svid.privateKey, format: 'der', type: 'pkcs8' })
        const files = {
          'svid.pem': pem(svid.certChain) + key.export({ type: 'pkcs8', format: 'pem' }),
          'bundle.pem': pem(svid.bundle),
        }
        for (const [name, text] of Object.entries(files)) {
          await writeFile(join(place, `${name}.new`), text, { mode: 0o600 })
          await rename(join(place, `${name}.new`), join(place, name))
        }
      },
      async deleteX509Svid(metadata, config) {
        await rm(placeOf(metadata, config), { recursive: true, force: true })
      },
    }),
  ],
}
