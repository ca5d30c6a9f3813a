/**
 * The gate's rules when configuration is read again: those in force stay where the new ones cannot be read.
 *
 * @module
 */
import { OperatorError } from '../operator-error.ts'
import type { Services } from '../site/services.ts'
import type { Site } from '../site/site.ts'

/**
 * Requires that the plugin's rules are known as well as before: a file that is half written must not leave the gate with
 * the plugin's defaults.
 *
 * @param now What was just read.
 * @param before What is in force.
 * @throws {OperatorError} `TK-CONF-INVALID`: a file is wrong, may not be read, or is gone.
 */
export function requireRules(
  {
    site,
    services: { plugin },
  }: { readonly site: Pick<Site, 'problems'>; readonly services: Pick<Services, 'plugin'> },
  before: Pick<Services, 'plugin'>,
): void {
  const wrong = plugin.value.problems.map((problem) => `${plugin.from}: ${problem}`)
  if (wrong.length > 0) throw invalid(wrong)
  if (!plugin.from.startsWith('default') || before.plugin.from.startsWith('default')) return
  const why = site.problems.map(({ file, at, message }) => `${file}${at === undefined ? '' : `:${at}`}: ${message}`)
  throw invalid(why.length > 0 ? why : [`${before.plugin.from}: is gone`])
}

function invalid(why: readonly string[]): OperatorError {
  return new OperatorError('TK-CONF-INVALID', `the plugin's rules cannot be read: ${why.join('; ')}`)
}
