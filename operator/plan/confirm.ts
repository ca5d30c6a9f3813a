/**
 * The question before a change.
 *
 * @module
 */
import { createInterface } from 'node:readline/promises'
import { EXIT } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'
import type { Confirmation } from './step.ts'

/** How a person is asked; undefined: nobody can be. */
export type Ask = (question: string) => Promise<string>

/**
 * Asks a person to type a word.
 *
 * @param confirmation The word, and what it is.
 * @param options `yes`: do not ask. `ask`: how.
 * @throws {OperatorError} `TK-PLAN-UNCONFIRMED`, exit 3: another word, or nobody can be asked.
 */
export async function confirm(
  { word, what }: Confirmation,
  { yes, ask }: { readonly yes: boolean; readonly ask?: Ask | undefined },
): Promise<void> {
  if (yes) return
  if (ask === undefined) {
    throw unconfirmed(`nobody can be asked here (no terminal, or --output json): add --yes when the plan is right`)
  }
  const typed = (await ask(`Type ${what} (${word}) to go on: `)).trim()
  if (typed !== word)
    throw unconfirmed(`expected ${word}, got ${typed === '' ? 'nothing' : JSON.stringify(typed.slice(0, 80))}`)
}

/**
 * Gives the way to ask on this terminal.
 *
 * @param wanted False where nobody is to be asked, such as for JSON.
 * @returns How to ask on standard error; undefined without a terminal.
 */
export function terminalAsk(wanted: boolean): Ask | undefined {
  if (!wanted || !process.stdin.isTTY || !process.stderr.isTTY) return undefined
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    try {
      return await terminal.question(question)
    } finally {
      terminal.close()
    }
  }
}

function unconfirmed(why: string): OperatorError {
  return new OperatorError('TK-PLAN-UNCONFIRMED', `not confirmed, so nothing was done: ${why}`, { exit: EXIT.unknown })
}
