/**
 * `towerkeep help [VERB]`.
 *
 * @module
 */
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { helpOf } from '../flags/program.ts'
import { verbData } from '../flags/reference.ts'
import type { HELP } from '../flags/tooling.ts'
import type { Report } from '../report.ts'

/**
 * Prints help, or gives the whole command line as data.
 *
 * @param context Words name the verb.
 * @returns A report for JSON, else the exit code.
 * @throws {OperatorError} `TK-USAGE`: there is no such verb.
 */
export async function run({ flags, words, stdout, build }: VerbContext<typeof HELP>): Promise<Report | number> {
  if (flags.output !== 'json') {
    stdout.write(helpOf(words, build.version))
    return EXIT.ok
  }
  const items = verbData()
  return {
    schema: 'towerkeep/help/v1',
    exit: EXIT.ok,
    summary: { verbs: items.length },
    items,
    findings: [],
    unknown: [],
  }
}
