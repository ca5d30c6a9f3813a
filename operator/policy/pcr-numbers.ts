/**
 * PCRs on the command line.
 *
 * @module
 */
import { OperatorError } from '../operator-error.ts'

/** Keylime binds its own key to it, or replays the IMA list into it: values for them are never compared. */
const NEVER_COMPARED: ReadonlySet<number> = new Set([10, 16])

/**
 * Reads a list of PCRs.
 *
 * @param text Such as `0,4,7`.
 * @returns Numbers in order, each once.
 * @throws {OperatorError} `TK-USAGE`: not from 0 to 23, or one that Keylime never compares.
 */
export function pcrNumbers(text: string): readonly number[] {
  const numbers = text.split(',').map((part) => (/^\d{1,2}$/.test(part.trim()) ? Number(part) : -1))
  const wrong = numbers.find((pcr) => pcr < 0 || pcr > 23 || NEVER_COMPARED.has(pcr))
  if (wrong !== undefined) {
    throw new OperatorError(
      'TK-USAGE',
      `--pcr ${text}: expected numbers from 0 to 23 with commas between, without 10 and 16, which Keylime never compares`,
    )
  }
  return [...new Set(numbers)].toSorted((a, b) => a - b)
}
