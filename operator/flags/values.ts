/**
 * From the texts of a command line to typed values.
 *
 * @module
 */
import { formatDuration, parseDuration } from '@tower-of-omens/spire-sdk/hcl'
import { OperatorError } from '../operator-error.ts'
import type { DurationFlag, FlagSpec, FlagSpecs, IntegerFlag } from './spec.ts'

/** A typed value of any flag. */
export type FlagValue = string | number | boolean | readonly string[] | undefined

/**
 * Checks and converts every flag.
 *
 * @param flags Their descriptions.
 * @param given What the command line gave, by name.
 * @returns A value for each flag, its default where it was not given.
 * @throws {OperatorError} `TK-USAGE`: a value that does not fit.
 */
export function flagValues(
  flags: FlagSpecs,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, FlagValue>> {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, valueOf(name, flag, given[name])]))
}

function valueOf(name: string, flag: FlagSpec, given: unknown): FlagValue {
  switch (flag.kind) {
    case 'switch':
      return given === true
    case 'list':
      return Array.isArray(given) ? given.map(String) : []
    case 'duration': {
      const text = typeof given === 'string' ? given : flag.default
      return text === undefined ? undefined : durationOf(name, flag, text)
    }
    case 'integer':
      return typeof given === 'string' ? integerOf(name, flag, given) : flag.default
    case 'choice':
      return choiceOf(name, flag.choices, typeof given === 'string' ? given : flag.default)
    case 'text':
    default:
      return typeof given === 'string' ? given : flag.default
  }
}

function durationOf(name: string, flag: DurationFlag, text: string): number {
  const parsed = parseDuration(text)
  if (typeof parsed === 'string') throw usage(`--${name} ${text}: ${parsed}`)
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = flag
  if (parsed >= min && parsed <= max) return parsed
  throw usage(`--${name} ${text}: expected ${formatDuration(min)} to ${formatDuration(max)}`)
}

function integerOf(name: string, flag: IntegerFlag, text: string): number {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = flag
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return number
  throw usage(`--${name} ${text}: expected a whole number from ${min} to ${max}`)
}

function choiceOf(name: string, choices: readonly string[], text: string | undefined): string | undefined {
  if (text === undefined || choices.includes(text)) return text
  throw usage(`--${name} ${text}: expected one of ${choices.join(', ')}`)
}

function usage(message: string): OperatorError {
  return new OperatorError('TK-USAGE', message)
}
