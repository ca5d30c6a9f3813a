/**
 * What makes the provider one of OpenTofu's: its cookie and its version.
 *
 * @module
 */
import type { GoPluginOptions } from '../../../plugins/go-plugin/index.ts'

/** The variable that names the folder of pages; OpenTofu hands its environment on. */
export const PAGES_VARIABLE = 'OMENS_PAGES'

/** The provider, for whoever serves it. */
export const PROVIDER: GoPluginOptions = {
  name: 'terraform-provider-omens',
  cookie: {
    key: 'TF_PLUGIN_MAGIC_COOKIE',
    value: 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2',
  },
  protocolVersions: [6],
  hint: 'Name its folder in dev_overrides of the CLI configuration.',
  services: async (context) => (await import('./provider-services.ts')).providerServices(context),
}
