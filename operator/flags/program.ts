/**
 * The command line parser, made of the table of verbs.
 *
 * @module
 */
import { Command, CommanderError, Option } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'
import { COMMON_FLAGS } from './shared-flags.ts'
import type { VerbSpec } from './spec.ts'
import { type FlagValue, flagValues } from './values.ts'
import { flagsOf, PROGRAM, PROGRAM_SUMMARY, VERBS, type VerbName } from './verbs.ts'
import { argumentWord, defaultWord, flagWords } from './words.ts'

/** A command line that makes sense. */
export interface Parsed {
  readonly verb: VerbName
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, FlagValue>>
}

/** A command line that asks for help or the version. */
export interface HelpText {
  readonly help: string
}

/**
 * Parses a command line.
 *
 * @param argv Words after the program's name.
 * @param version Version of the program.
 * @returns The verb with its words and flags, or text to print.
 * @throws {OperatorError} `TK-USAGE`, with a suggestion where a word looks like a slip.
 */
export function parseCommandLine(argv: readonly string[], version: string): Parsed | HelpText {
  let parsed: Parsed | undefined
  const written: string[] = []
  const program = newProgram(version, written, (verb, words, given) => {
    parsed = { verb: verb.name, words, flags: flagValues(flagsOf(verb), given) }
  })
  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0 || error.code === 'commander.help') return { help: written.join('') }
    throw new OperatorError('TK-USAGE', oneLine(error.message), { exit: EXIT.usage })
  }
  return parsed ?? { help: program.helpInformation() }
}

/**
 * Writes the help of one verb, or of the program.
 *
 * @param words Name of the verb; none for the program.
 * @param version Version of the program.
 * @returns The text.
 * @throws {OperatorError} `TK-USAGE`: there is no such verb.
 */
export function helpOf(words: readonly string[], version: string): string {
  const parsed = parseCommandLine([...words, '--help'], version)
  return 'help' in parsed ? parsed.help : ''
}

type Taken = (verb: (typeof VERBS)[number], words: readonly string[], given: Readonly<Record<string, unknown>>) => void

function newProgram(version: string, written: string[], taken: Taken): Command {
  const program = new Command(PROGRAM)
    .description(PROGRAM_SUMMARY)
    .version(version, '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Print help.')
    .helpCommand(false)
  harden(program, written)
  // Before the verb too: commander hands them to the program, which help does not show twice.
  for (const [name, flag] of Object.entries(COMMON_FLAGS)) program.addOption(optionOf(name, flag).hideHelp())
  for (const verb of VERBS) addVerb(program, verb, taken, written)
  program.addHelpText('after', `\nRun '${PROGRAM} VERB --help' for a verb, '${PROGRAM} explain CODE' for a code.`)
  return program
}

/** Errors are thrown, never printed: they may have to become JSON. */
function harden(command: Command, written: string[]): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: (text) => written.push(text), writeErr: () => undefined })
    .configureHelp({ helpWidth: 100, sortSubcommands: false, sortOptions: false })
}

function addVerb(program: Command, verb: (typeof VERBS)[number], taken: Taken, written: string[]): void {
  const [family = '', member] = verb.name.split(' ')
  const command = member === undefined ? parentOf(program, family) : familyOf(program, family, written).command(member)
  harden(command, written)
  command.summary(verb.summary).description([capital(verb.summary), ...verb.description].join('\n\n'))
  for (const argument of verb.arguments) command.argument(argumentName(argument), argument.help)
  for (const [name, flag] of Object.entries(flagsOf(verb))) command.addOption(optionOf(name, flag))
  command.helpOption('-h, --help', 'Print help.')
  if (verb.examples.length > 0) command.addHelpText('after', examples(verb))
  command.action(() =>
    taken(verb, command.args, { ...named(program), ...ofParent(program, command), ...named(command) }),
  )
  if (verb.hidden === true) Object.assign(command, { _hidden: true })
}

// It may be a verb and the first word of another: what stands after that one is the other's, though both have such a flag.
function parentOf(program: Command, name: string): Command {
  return program.command(name).enablePositionalOptions()
}

/** Reads the flags between the two words of a verb, which must be flags of that verb. */
function ofParent(program: Command, command: Command): Readonly<Record<string, unknown>> {
  const { parent } = command
  if (parent === null || parent === program) return {}
  const given = named(parent)
  const known = new Set(command.options.map((option) => option.name()))
  const strange = Object.keys(given).find((name) => !known.has(name))
  if (strange !== undefined) command.error(`error: unknown option '--${strange}'`)
  return given
}

// A family of verbs that share their first word; it does nothing by itself.
function familyOf(program: Command, name: string, written: string[]): Command {
  const known = program.commands.find((command) => command.name() === name)
  if (known !== undefined) return known
  const family = program.command(name).helpCommand(false)
  harden(family, written)
  return family
}

// Commander takes the ellipsis of the synopsis, but within the brackets, and wants angle brackets where required.
function argumentName(argument: VerbSpec['arguments'][number]): string {
  const word = argumentWord(argument)
  return argument.required === true ? `<${word}>` : word
}

function optionOf(name: string, flag: Parameters<typeof flagWords>[1]): Option {
  const value = flag.kind === 'list' ? '$1 <$2...>' : '$1 <$2>'
  const words = flagWords(name, flag).replace(/(--\S+) (\S+)$/, value)
  const fallback = defaultWord(flag)
  return new Option(words, fallback === undefined ? flag.help : `${flag.help} Default: ${fallback}.`)
}

// Commander gives flags in camel case.
function named(command: Command): Readonly<Record<string, unknown>> {
  const values = command.options.map((option): [string, unknown] => [
    option.name(),
    command.getOptionValue(option.attributeName()),
  ])
  return Object.fromEntries(values.filter(([, value]) => value !== undefined))
}

function examples(verb: VerbSpec): string {
  const width = Math.max(...verb.examples.map(([line]) => line.length))
  return `\nExamples:\n${verb.examples.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`).join('\n')}`
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`
}

function oneLine(text: string): string {
  return text.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
}
