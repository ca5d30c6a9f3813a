/**
 * Lengths of time as Go writes them, in whole milliseconds.
 *
 * @module
 */

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y
const MAX_LENGTH = 64

/** The longest duration in milliseconds: beyond it a Node timer fires at once. */
export const MAX_DURATION_MS = 2 ** 31 - 1

/**
 * Reads a duration as Go's `time.ParseDuration` does, without a sign.
 *
 * @param text Such as `5s`, `1m30s`, `500ms`, `0`.
 * @returns Whole milliseconds, at most `MAX_DURATION_MS`; or a string that says what is wrong.
 */
export function parseDuration(text: string): number | string {
  if (text === '0') return 0
  if (text.length > MAX_LENGTH) return 'is too long for a duration'
  if (/^\d+(\.\d+)?$/.test(text)) return `has no unit; write "${text}s" for seconds`
  if (text.startsWith('-')) return 'cannot be negative'
  let ns = 0
  PART.lastIndex = 0
  while (PART.lastIndex < text.length) {
    const part = PART.exec(text)
    if (part === null) return 'is not a duration; write it as "5s", "1m30s" or "500ms"'
    ns += Number(part[1]) * (UNIT_NS[part[2] ?? ''] ?? Number.NaN)
  }
  if (text === '') return 'is not a duration; write it as "5s", "1m30s" or "500ms"'
  // Decimal fractions are not binary ones: 0.0011s is 1.1 ms only up to rounding.
  const ms = Math.round(ns) / 1e6
  if (ms > MAX_DURATION_MS) return `is longer than ${formatDuration(MAX_DURATION_MS)}`
  return Number.isInteger(ms) ? ms : 'is finer than a millisecond'
}

/**
 * Writes a duration the way an operator would.
 *
 * @param ms Whole milliseconds, not negative.
 * @returns Such as `1m30s`, `500ms`, `0s`; `parseDuration` reads it back.
 */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor((ms % 3_600_000) / 60_000)
  const seconds = Math.floor((ms % 60_000) / 1000)
  const parts = [
    [hours, 'h'],
    [minutes, 'm'],
    [seconds, 's'],
    [ms % 1000, 'ms'],
  ] as const
  return parts.flatMap(([count, unit]) => (count === 0 ? [] : [`${count}${unit}`])).join('')
}
