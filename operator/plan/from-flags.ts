/**
 * How a plan is carried out, from the flags of a verb.
 *
 * @module
 */
import { terminalAsk } from './confirm.ts'
import type { RunOptions } from './run.ts'

/** The flags of verbs that change something. */
export interface ChangeFlags {
  readonly 'dry-run': boolean
  readonly yes: boolean
  readonly journal: string
  readonly output: string
}

/**
 * Takes the options of a run from flags.
 *
 * @param flags The flags.
 * @param context Where progress goes, and the signal that ends the program.
 * @returns The options.
 */
export function runOptions(
  flags: ChangeFlags,
  { progress, signal }: { readonly progress: (line: string) => void; readonly signal: AbortSignal },
): RunOptions {
  return {
    dryRun: flags['dry-run'],
    yes: flags.yes,
    journalFolder: flags.journal,
    ask: terminalAsk(flags.output !== 'json'),
    say: progress,
    signal,
  }
}
