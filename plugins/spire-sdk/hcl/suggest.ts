/**
 * "Did you mean": which known key an unknown one is most likely a slip of.
 *
 * @module
 */

const MOST = 2
// Longer keys than this are nobody's slip; the table of distances stays small.
const MAX_LENGTH = 100

/**
 * Finds the known keys that look like an unknown one.
 *
 * A slip of the keyboard first, then a key that lacks or adds a piece, then one that shares a rare word.
 *
 * @param unknown The key as written.
 * @param known All keys there are, in lower case.
 * @returns At most two, the likeliest first; none if nothing is near.
 */
export function suggest(unknown: string, known: readonly string[]): string[] {
  const key = unknown.toLowerCase().replaceAll('-', '_')
  if (key.length > MAX_LENGTH) return []
  const slips = nearest(known, (candidate) => {
    const apart = distance(key, candidate)
    return apart <= Math.ceil((Math.min(key.length, candidate.length) - 2) / 4) ? apart : undefined
  })
  if (slips.length > 0) return slips.slice(0, 1)
  const parts = nearest(known, (candidate) => {
    const contained = key.length > 3 && (candidate.includes(key) || key.includes(candidate))
    return contained ? Math.abs(candidate.length - key.length) : undefined
  })
  if (parts.length > 0) return parts.slice(0, 1)
  return nearest(known, (candidate) => wordsApart(key, candidate, known)).slice(0, MOST)
}

// Those with a score, lowest first; a tie keeps the schema's order.
function nearest(known: readonly string[], score: (candidate: string) => number | undefined): string[] {
  const scored = known.flatMap((candidate) => {
    const value = score(candidate)
    return value === undefined ? [] : [{ candidate, value }]
  })
  return scored.toSorted((a, b) => a.value - b.value).map(({ candidate }) => candidate)
}

// Fewer keys with the shared word mean a better hint; a word of most keys is none.
function wordsApart(key: string, candidate: string, known: readonly string[]): number | undefined {
  const shared = key.split('_').filter((word) => word.length > 2 && candidate.split('_').includes(word))
  const counts = shared.map((word) => known.filter((other) => other.split('_').includes(word)).length)
  const rarest = Math.min(...counts)
  return rarest <= known.length / 2 ? rarest - shared.length / 10 : undefined
}

// Edit distance in which two neighbours swapped count once.
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, (before[j - 2] ?? 0) + 1)
      row.push(best)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
