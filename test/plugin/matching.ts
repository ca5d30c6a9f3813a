// Asymmetric matcher of vitest with a type, for asserting status and message in one comparison.
import { expect } from 'vitest'

/** Stands for any text that holds a string, or that a pattern matches. */
export function matching(part: string | RegExp): string {
  return (typeof part === 'string' ? expect.stringContaining(part) : expect.stringMatching(part)) as string
}
