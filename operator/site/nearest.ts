/**
 * The known word that is nearest to an unknown one.
 *
 * @module
 */

/**
 * Finds it.
 *
 * @param word The unknown one.
 * @param known The known ones.
 * @returns The nearest, or undefined when none is within a third of the word's length.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.floor(word.length / 3) + 1
  for (const one of known) {
    const distance = editDistance(word, one)
    if (distance < least) [best, least] = [one, distance]
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
