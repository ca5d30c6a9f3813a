/**
 * The usual configuration builder: HCL text, a schema, one function from values to configuration.
 *
 * @module
 */
import { type Decoded, decodeConfig, type FieldSpecs, type Schema } from '../hcl/index.ts'
import type { BuildContext, ConfigBuilder, ConfigRequest } from './plugin-options.ts'

/**
 * Makes a configuration builder from a schema. Unknown keys, wrong kinds and missing values are told all at once.
 *
 * @param schema From `defineSchema`.
 * @param make Makes the configuration from values without problems. In mode `validate` it must touch nothing.
 * @param dispose Releases a configuration when the last call that used it has ended.
 * @returns Builder for `servePlugin`.
 */
export function hclConfig<S extends FieldSpecs, C>(
  schema: Schema<S>,
  make: (values: Decoded<S>, request: ConfigRequest, context: BuildContext) => Promise<C> | C,
  dispose?: (config: C) => Promise<void>,
): ConfigBuilder<C> {
  return {
    async build(request, context) {
      const { values, problems, warnings } = decodeConfig(request.hcl, schema)
      const told = { problems: problems.map(String), warnings: warnings.map(String) }
      return problems.length > 0 ? told : { ...told, config: await make(values, request, context) }
    },
    ...(dispose === undefined ? {} : { dispose }),
  }
}
