/**
 * Many questions, a few at a time.
 *
 * @module
 */

/**
 * Works on every item, a few at a time.
 *
 * @param items The items.
 * @param limit How many at a time, at least 1.
 * @param work What to do with one; an error ends all.
 * @returns The results, in the order of the items.
 */
export async function mapAtMost<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Map<number, R>()
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at]
      if (item !== undefined) results.set(at, await work(item))
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  return items.map((_, at) => results.get(at)).filter((result) => result !== undefined)
}
