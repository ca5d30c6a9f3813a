// Answers recorded from a real Keylime, one file a request.
import { readFileSync } from 'node:fs'

/** One recorded exchange. */
export interface Recorded {
  readonly request: string
  readonly status: number
  readonly contentType: string
  /** HTTP date of the answer. */
  readonly date: string
  /** Exact text of the answer. */
  readonly body: string
}

/**
 * Reads a recorded answer.
 * @param name File name under test/fixtures/keylime, without `.json`.
 */
export function recorded(name: string): Recorded {
  const file = new URL(`../fixtures/keylime/${name}.json`, import.meta.url)
  const { content_type: contentType, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as Omit<
    Recorded,
    'contentType'
  > & { readonly content_type: string }
  return { ...rest, contentType }
}

/**
 * Reads the `results` of a recorded answer.
 * @param name File name under test/fixtures/keylime, without `.json`.
 */
export function recordedResults(name: string): Readonly<Record<string, unknown>> {
  return (JSON.parse(recorded(name).body) as { readonly results: Record<string, unknown> }).results
}
