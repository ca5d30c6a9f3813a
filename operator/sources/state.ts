/**
 * Answers of a source, or why there is none.
 *
 * @module
 */

/** An answer, or why there is none. */
export type Answer<T> = { readonly value: T } | { readonly failed: string }

/**
 * Waits for an answer, and keeps the reason when there is none.
 *
 * @param asked The question under way.
 * @returns The answer or the message of the error.
 */
export async function settled<T>(asked: Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await asked }
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * Takes the value of an answer.
 *
 * @param answer The answer.
 * @returns The value, or undefined.
 */
export function valueOf<T>(answer: Answer<T> | undefined): T | undefined {
  return answer !== undefined && 'value' in answer ? answer.value : undefined
}
