/**
 * What `make demo` prints: numbered steps with their times, and one closing block when a step fails.
 *
 * @module
 */

import { formatSeconds } from '../parts/progress.ts'
import { RigError, reasonOf } from '../processes/errors.ts'

/** Tells the story of the demo. */
export interface Narrator {
  /** Runs one step under its title; prints how long it took. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>
  /** Prints a detail of the running step; several lines stay several. */
  say(text: string): void
  /** Prints a heading or a closing line, not indented. */
  line(text?: string): void
  /** Prints which step failed, why, and where to look. */
  failure(error: unknown, logDir: string | undefined): void
}

const INDENT = '     '

/**
 * Begins a story.
 *
 * @returns The narrator, before its first step.
 */
export function newNarrator(out: NodeJS.WritableStream): Narrator {
  let number = 0
  let current = 'set-up'
  const line = (text = ''): void => void out.write(`${text}\n`)
  const say = (text: string): void =>
    text
      .trimEnd()
      .split('\n')
      .forEach((part) => line(INDENT + part))
  return {
    line,
    say,
    async step(title, work) {
      number += 1
      current = `step ${number} (${title})`
      const since = performance.now()
      line(`\n${String(number).padStart(3)}. ${title}`)
      const result = await work()
      say(`[${formatSeconds((performance.now() - since) / 1000)}]`)
      return result
    },
    failure(error, logDir) {
      line(`\nFAILED in ${current}`)
      line(`  why:  ${reasonOf(error)}`)
      if (error instanceof RigError && error.logFile !== undefined) line(`  log:  ${error.logFile}`)
      if (logDir !== undefined) line(`  logs of all parts: ${logDir}`)
      if (!(error instanceof RigError) && error instanceof Error) line(error.stack)
    },
  }
}
