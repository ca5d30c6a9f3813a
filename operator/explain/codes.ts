/**
 * Codes and error texts explained from the catalogues, asking nobody.
 *
 * @module
 */
import { entryOf, explain as explainText, isErrorCode } from '@tower-of-omens/gate'
import { FINDINGS, isFindingId } from '../findings/catalogue.ts'

/** What a code means. */
export interface CodeExplanation {
  readonly code: string
  readonly meaning: string
  readonly cause: string
  readonly next: string
}

/**
 * Explains a code.
 *
 * @param word Such as `KL-GATE-STALE` or `TK-KL-VERDICT`, in any case.
 * @returns What it means; undefined when it is no code.
 */
export function explainCode(word: string): CodeExplanation | undefined {
  const code = word.toUpperCase()
  if (isErrorCode(code)) {
    const { message, cause, next } = entryOf(code)
    return { code, meaning: message, cause, next }
  }
  if (!isFindingId(code)) return undefined
  const { meaning, cause, next } = FINDINGS[code]
  return { code, meaning, cause, next }
}

/**
 * Explains an error text as it stands in a log.
 *
 * @param text The text.
 * @returns What it means; undefined when it is not known.
 */
export function explainLine(text: string): string | undefined {
  return explainText(text)?.means
}
