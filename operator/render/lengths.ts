/**
 * Lengths of time and identifiers in few characters.
 *
 * @module
 */

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
]

/**
 * Writes a length of time by its largest unit, and the next one where it matters.
 *
 * @param seconds The length; a negative one has ended.
 * @returns Such as `42s`, `3m05s`, `7h12m`, `12d`.
 */
export function shortLength(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  if (seconds < 0) return `-${shortLength(-seconds)}`
  const whole = Math.floor(seconds)
  const at = UNITS.findIndex(([, size]) => whole >= size)
  const [unit, size] = UNITS[at] ?? ['s', 1]
  const [next, nextSize] = UNITS[at + 1] ?? ['', 0]
  const count = Math.floor(whole / size)
  if (nextSize === 0 || at < 0 || count >= 10) return `${count}${unit}`
  const rest = Math.floor((whole - count * size) / nextSize)
  return rest === 0 ? `${count}${unit}` : `${count}${unit}${String(rest).padStart(2, '0')}${next}`
}

/**
 * Cuts an identifier for a table.
 *
 * @param id The whole.
 * @returns Its first eight characters when it is longer than twelve.
 */
export function shortId(id: string): string {
  return id.length > 12 ? id.slice(0, 8) : id
}
