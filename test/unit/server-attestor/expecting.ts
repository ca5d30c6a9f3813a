/** Vitest's asymmetric matchers without their `any`. */
import { expect } from 'vitest'

/** Equals any text that holds this one. */
export function holding(text: string): unknown {
  return expect.stringContaining(text)
}

/** Equals any text that matches. */
export function matching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern)
}

/** Equals any object with at least these fields. */
export function including(fields: Readonly<Record<string, unknown>>): unknown {
  return expect.objectContaining(fields)
}
