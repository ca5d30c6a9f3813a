/**
 * Whole numbers as Go's `strconv.ParseInt(text, 0, 64)` reads them: decimal, `0x`, `0o`, `0b`, and a leading 0 for octal.
 *
 * @module
 */

const DECIMAL = /^[1-9](_?[0-9])*$/
const OCTAL = /^0([oO]?(_?[0-7])+)?$/
const HEX = /^0[xX](_?[0-9a-fA-F])+$/
const BINARY = /^0[bB](_?[01])+$/
const LONGEST = 80

/**
 * Reads a whole number.
 *
 * @param text As written, with an optional sign.
 * @returns The number; undefined when it is none, or beyond 2^53 where a number would be rounded.
 */
export function parseGoInteger(text: string): number | undefined {
  const [, sign, digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  const plain = digits.replaceAll('_', '')
  if (text.length > LONGEST) return undefined
  let value: number
  if (DECIMAL.test(digits) || HEX.test(digits) || BINARY.test(digits)) value = Number(plain)
  else if (OCTAL.test(digits)) value = digits === '0' ? 0 : Number.parseInt(plain.replace(/^0[oO]?/, ''), 8)
  else return undefined
  if (!Number.isSafeInteger(value)) return undefined
  return sign === '-' && value !== 0 ? -value : value
}
