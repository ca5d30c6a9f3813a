/**
 * The reference of the command line: as Markdown, and as data.
 *
 * @module
 */
import { EXIT_MEANINGS } from '../exit-codes.ts'
import { COMMON_FLAGS } from './shared-flags.ts'
import type { FlagSpecs, VerbSpec } from './spec.ts'
import { flagsOf, shownVerbs } from './verbs.ts'
import { defaultWord, flagWords, synopsis } from './words.ts'

/** One verb as data. */
export interface VerbData {
  readonly name: string
  readonly kind: string
  readonly summary: string
  readonly arguments: readonly { readonly name: string; readonly help: string; readonly required: boolean }[]
  readonly flags: readonly {
    readonly name: string
    readonly kind: string
    readonly help: string
    readonly default: string | null
    readonly choices: readonly string[]
  }[]
}

/**
 * Gathers the command line as data.
 *
 * @returns Each verb that is shown.
 */
export function verbData(): readonly VerbData[] {
  return shownVerbs().map((verb) => ({
    name: verb.name,
    kind: verb.kind,
    summary: verb.summary,
    arguments: verb.arguments.map(({ name, help, required = false }) => ({ name, help, required })),
    flags: Object.entries(flagsOf(verb)).map(([name, flag]) => ({
      name,
      kind: flag.kind,
      help: flag.help,
      default: defaultWord(flag) ?? null,
      choices: flag.kind === 'choice' ? flag.choices : [],
    })),
  }))
}

/**
 * Writes the reference of all verbs.
 *
 * @returns Markdown.
 */
export function verbReference(): string {
  const parts = shownVerbs().map(verbPart)
  return [...parts, `### Flags of every verb\n\n${flagTable(COMMON_FLAGS)}`].join('\n\n')
}

/**
 * Writes the table of exit codes.
 *
 * @returns Markdown.
 */
export function exitReference(): string {
  const rows = EXIT_MEANINGS.map(([code, read, change]) => `| ${code} | ${read} | ${change} |`)
  return ['| code | verbs that read | verbs that change |', '|---|---|---|', ...rows].join('\n')
}

function verbPart(verb: VerbSpec): string {
  const own = Object.fromEntries(Object.entries(flagsOf(verb)).filter(([name]) => !Object.hasOwn(COMMON_FLAGS, name)))
  const words = verb.arguments.map(({ name, help }) => `- \`${name}\`: ${help}`)
  return [
    `### ${verb.name}`,
    `\`${synopsis(verb)}\``,
    ...verb.description,
    ...(words.length > 0 ? [words.join('\n')] : []),
    ...(Object.keys(own).length > 0 ? [flagTable(own)] : []),
    ...(verb.examples.length > 0 ? [verb.examples.map(([line, what]) => `- \`${line}\`: ${what}`).join('\n')] : []),
  ].join('\n\n')
}

function flagTable(flags: FlagSpecs): string {
  const rows = Object.entries(flags).map(([name, flag]) => {
    const words = flagWords(name, flag).replaceAll('|', '\\|')
    return `| \`${words}\` | ${defaultWord(flag) ?? ''} | ${flag.help} |`
  })
  return ['| flag | default | |', '|---|---|---|', ...rows].join('\n')
}
