/**
 * `towerkeep completion SHELL`.
 *
 * @module
 */
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { completionScript, SHELLS } from '../flags/completion.ts'
import type { COMPLETION } from '../flags/tooling.ts'
import { OperatorError } from '../operator-error.ts'

/**
 * Prints a completion script.
 *
 * @param context The shell's name is the first word.
 * @returns The exit code.
 * @throws {OperatorError} `TK-USAGE`: a shell that is not served.
 */
export async function run({ words, stdout }: VerbContext<typeof COMPLETION>): Promise<number> {
  const shell = SHELLS.find((name) => name === words[0])
  if (shell === undefined)
    throw new OperatorError('TK-USAGE', `no shell ${words[0] ?? ''}: expected ${SHELLS.join(', ')}`)
  stdout.write(completionScript(shell))
  return EXIT.ok
}
