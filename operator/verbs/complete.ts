/**
 * `towerkeep __complete`: words for the completion scripts, from what the daemon last knew; it asks nobody.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { FINDINGS } from '../findings/catalogue.ts'
import type { COMPLETE } from '../flags/tooling.ts'

/** Where the daemon leaves the names of hosts. */
export const HOSTS_FILE = '/run/towerkeep/hosts'

/**
 * Prints words, one a line; nothing when there are none to be had.
 *
 * @param context The first word says what kind.
 * @returns The exit code.
 */
export async function run({ words, stdout }: VerbContext<typeof COMPLETE>): Promise<number> {
  const found = words[0] === 'code' ? [...hostWords(), ...Object.keys(FINDINGS), ...(await plugCodes())] : hostWords()
  stdout.write(found.map((word) => `${word}\n`).join(''))
  return EXIT.ok
}

function hostWords(): readonly string[] {
  try {
    return readFileSync(HOSTS_FILE, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

async function plugCodes(): Promise<readonly string[]> {
  const { errorCodes } = await import('@tower-of-omens/gate')
  return errorCodes()
}
