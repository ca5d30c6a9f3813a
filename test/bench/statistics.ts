/**
 * The few numbers a series of measurements becomes.
 *
 * @module
 */

/** Smallest, middle and largest of several rounds. */
export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/**
 * Sums up rounds.
 *
 * @returns Their spread; zeros when there are none.
 */
export function spreadOf(values: readonly number[]): Spread {
  return { min: percentile(values, 0), median: medianOf(values), max: percentile(values, 100) }
}

/** The middle value, or the mean of the two in the middle. */
function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.slice(Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2) + 1)
  return middle.reduce((sum, value) => sum + value, 0) / Math.max(1, middle.length)
}

/**
 * Finds a percentile by the nearest rank.
 *
 * @param values Any numbers, in any order.
 * @param percent From 0 to 100.
 * @returns One of the values; 0 when there are none.
 */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const rank = Math.ceil((percent / 100) * sorted.length)
  return sorted[Math.max(0, rank - 1)] ?? 0
}

/** Divides round by round, so that what disturbed a round disturbs both sides of its ratio. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  const ratios = ours.flatMap((value, round) => {
    const other = theirs[round]
    return other === undefined || other === 0 ? [] : [value / other]
  })
  return spreadOf(ratios)
}
