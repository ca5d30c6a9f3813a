/**
 * How flags and arguments are written in help, manuals and documentation.
 *
 * @module
 */
import type { ArgumentSpec, FlagSpec, VerbSpec } from './spec.ts'
import { PROGRAM } from './verbs.ts'

/**
 * Writes a flag as it stands on a command line.
 *
 * @param name Its name without dashes.
 * @param flag Its description.
 * @returns Such as `-o, --output text|json|short`.
 */
export function flagWords(name: string, flag: FlagSpec): string {
  const short = flag.short === undefined ? '' : `-${flag.short}, `
  const value = valueWord(flag)
  return `${short}--${name}${value === '' ? '' : ` ${value}`}`
}

/**
 * Names a flag's value.
 *
 * @param flag Its description.
 * @returns Such as `FILE`; empty for a switch.
 */
export function valueWord(flag: FlagSpec): string {
  switch (flag.kind) {
    case 'switch':
      return ''
    case 'choice':
      return flag.choices.join('|')
    case 'duration':
      return 'DURATION'
    case 'integer':
      return 'N'
    case 'text':
    case 'list':
    default:
      return flag.value
  }
}

/**
 * Writes a flag's default.
 *
 * @param flag Its description.
 * @returns The text, or undefined where there is none.
 */
export function defaultWord(flag: FlagSpec): string | undefined {
  return 'default' in flag && flag.default !== undefined ? String(flag.default) : undefined
}

/**
 * Writes the line that shows how a verb is called.
 *
 * @param verb The verb.
 * @returns Such as `towerkeep status [OPTION...] [HOST...]`.
 */
export function synopsis(verb: VerbSpec): string {
  return [PROGRAM, verb.name, '[OPTION...]', ...verb.arguments.map(argumentWord)].join(' ')
}

/**
 * Writes an argument as it stands in a synopsis.
 *
 * @param argument Its description.
 * @returns Such as `[HOST...]`.
 */
export function argumentWord({ name, required, many }: ArgumentSpec): string {
  const word = many === true ? `${name}...` : name
  return required === true ? word : `[${word}]`
}
