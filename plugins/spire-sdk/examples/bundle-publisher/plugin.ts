import { rename, writeFile } from 'node:fs/promises'
import {
  BUNDLE_FORMATS,
  type BundleFormat,
  bundlePublisher,
  defineSchema,
  formatBundle,
  hclConfig,
  type PluginOptions,
} from '@tower-of-omens/spire-sdk'

interface Config {
  readonly file: string
  readonly format: BundleFormat
}

const schema = defineSchema({
  file: { kind: 'string', required: true, help: 'File to write.' },
  format: { kind: 'string', oneOf: BUNDLE_FORMATS, default: 'pem', help: 'Format of the file.' },
})

/** BundlePublisher: writes the trust bundle to a file whenever it changes. */
export const plugin: PluginOptions<Config> = {
  name: 'bundle-file',
  type: 'BundlePublisher',
  config: hclConfig(schema, ({ file, format }) => ({ file, format })),
  services: [
    bundlePublisher({
      async publishBundle(bundle, { file, format }, { log }) {
        await writeFile(`${file}.new`, formatBundle(bundle, format))
        // A reader sees the old file or the new one, never half of it.
        await rename(`${file}.new`, file)
        log.info('Bundle written', { file, sequence: Number(bundle.sequenceNumber) })
      },
    }),
  ],
}
