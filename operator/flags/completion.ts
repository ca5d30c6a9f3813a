/**
 * Completion scripts of bash, zsh and fish, made of the table of verbs.
 *
 * @module
 */
import type { ArgumentSpec, FlagSpec, VerbSpec } from './spec.ts'
import { flagsOf, PROGRAM, shownVerbs } from './verbs.ts'

/** Shells that are served. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** One of them. */
export type Shell = (typeof SHELLS)[number]

/**
 * Writes the completion script of a shell.
 *
 * @param shell Which.
 * @returns The script.
 */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bash()
    case 'zsh':
      return zsh()
    case 'fish':
    default:
      return fish()
  }
}

// The first words of verbs, each once.
function firstWords(): readonly string[] {
  return [...new Set(shownVerbs().map(({ name }) => name.split(' ')[0] ?? ''))]
}

function bash(): string {
  const cases = shownVerbs().map(
    (verb) => `    '${verb.name}') flags='${flagWordsOf(verb)}'; what='${whatOf(verb)}' ;;`,
  )
  const values = valueCases((flag) => `      ${bashWords(flag)}; return ;;`)
  return `# bash completion of ${PROGRAM}; generated from its table of verbs
# Names of hosts and files are taken as they are: compgen -W would expand what they hold.
_${PROGRAM}_lines() {
  local line
  while IFS= read -r line; do
    if [[ $line == "$cur"* ]]; then COMPREPLY+=("$line"); fi
  done
}
_${PROGRAM}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} flags= what= verb=
  COMPREPLY=()
  case $prev in
${values}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${firstWords().join(' ')}' -- "$cur"))
    return
  fi
  verb=\${COMP_WORDS[1]}
  case $verb in
${familyCases('    ', (words) => `[ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W '${words}' -- "$cur")) && return; verb="$verb \${COMP_WORDS[2]}"`)}
  esac
  case $verb in
${cases.join('\n')}
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) case $what in
      host|code) _${PROGRAM}_lines < <(${PROGRAM} __complete "$what" 2>/dev/null) ;;
      file) _${PROGRAM}_lines < <(compgen -f -- "$cur") ;;
      *) COMPREPLY=($(compgen -W "$what" -- "$cur")) ;;
    esac ;;
  esac
}
complete -o filenames -F _${PROGRAM} ${PROGRAM}
`
}

function zsh(): string {
  const verbs = shownVerbs().map(({ name, summary }) => `    '${name.replace(' ', '\\ ')}:${quoteless(summary)}'`)
  const cases = shownVerbs().map((verb) => {
    const flags = Object.entries(flagsOf(verb)).map(([name, flag]) => `      '--${name}${zshValue(flag)}'`)
    const words = verb.arguments.map(
      (argument) => `      '${argument.many === true ? '*' : ''}:${argument.name}:${zshAction(argument)}'`,
    )
    return `    '${verb.name}') _arguments \\\n${[...flags, ...words].join(' \\\n')} ;;`
  })
  return `#compdef ${PROGRAM}
# zsh completion of ${PROGRAM}; generated from its table of verbs
_${PROGRAM}_words() { compadd -- \${(f)"$(${PROGRAM} __complete $1 2>/dev/null)"} }
_${PROGRAM}() {
  local -a verbs
  verbs=(
${verbs.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  local verb=\${words[2]}
  case $verb in
${familyCases('    ', (words) => `if (( CURRENT == 3 )); then compadd ${words}; return; fi; verb="$verb \${words[3]}"; shift words; (( CURRENT-- ))`)}
  esac
  shift words; (( CURRENT-- ))
  case $verb in
${cases.join('\n')}
  esac
}
_${PROGRAM} "$@"
`
}

function fish(): string {
  const lines = shownVerbs().flatMap((verb) => {
    const [family = '', member] = verb.name.split(' ')
    const none = `not __fish_seen_subcommand_from ${firstWords().join(' ')}`
    const begin =
      member === undefined
        ? `complete -c ${PROGRAM} -f -n '${none}' -a ${family} -d '${quoteless(verb.summary)}'`
        : `complete -c ${PROGRAM} -f -n '__fish_seen_subcommand_from ${family}' -a ${member} -d '${quoteless(verb.summary)}'`
    const seen = `complete -c ${PROGRAM} -n '__fish_seen_subcommand_from ${member ?? family}'`
    const flags = Object.entries(flagsOf(verb)).map(
      ([name, flag]) => `${seen} -l ${name}${fishValue(flag)} -d '${quoteless(flag.help)}'`,
    )
    const words = verb.arguments.flatMap((argument) => {
      const action = fishAction(argument)
      return action === '' ? [] : [`${seen} -f -a '${action}'`]
    })
    return [begin, ...flags, ...words]
  })
  const families = [
    ...new Set(
      shownVerbs()
        .map(({ name }) => name)
        .filter((name) => name.includes(' ')),
    ),
  ]
  const roots = [...new Set(families.map((name) => name.split(' ')[0] ?? ''))]
  const begins = roots.map(
    (root) => `complete -c ${PROGRAM} -f -n 'not __fish_seen_subcommand_from ${firstWords().join(' ')}' -a ${root}`,
  )
  return `# fish completion of ${PROGRAM}; generated from its table of verbs\n${[...begins, ...lines].join('\n')}\n`
}

/** Cases that read the second word of a family. */
function familyCases(indent: string, body: (words: string) => string): string {
  const families = new Map<string, string[]>()
  for (const { name } of shownVerbs()) {
    const [family = '', member] = name.split(' ')
    if (member !== undefined) families.set(family, [...(families.get(family) ?? []), member])
  }
  const cases = [...families].map(([family, members]) => `${indent}${family}) ${body(members.join(' '))} ;;`)
  return cases.length === 0 ? `${indent}*) ;;` : cases.join('\n')
}

function flagWordsOf(verb: VerbSpec): string {
  return Object.keys(flagsOf(verb))
    .map((name) => `--${name}`)
    .join(' ')
}

// What stands after a flag that takes a word.
function valueCases(body: (flag: FlagSpec) => string): string {
  const seen = new Map<string, FlagSpec>()
  for (const verb of shownVerbs()) for (const [name, flag] of Object.entries(flagsOf(verb))) seen.set(name, flag)
  return [...seen]
    .filter(([, flag]) => bashWords(flag) !== '')
    .map(([name, flag]) => `    --${name})\n${body(flag)}`)
    .join('\n')
}

function bashWords(flag: FlagSpec): string {
  if (flag.kind === 'choice') return `COMPREPLY=($(compgen -W '${flag.choices.join(' ')}' -- "$cur"))`
  if ('complete' in flag && flag.complete === 'file') return `_${PROGRAM}_lines < <(compgen -f -- "$cur")`
  if ('complete' in flag && flag.complete === 'host')
    return `_${PROGRAM}_lines < <(${PROGRAM} __complete host 2>/dev/null)`
  return ''
}

function whatOf(verb: VerbSpec): string {
  const complete = verb.arguments[0]?.complete
  if (complete === undefined) return ''
  return typeof complete === 'string' ? complete : complete.join(' ')
}

function zshValue(flag: FlagSpec): string {
  const help = `[${quoteless(flag.help)}]`
  if (flag.kind === 'switch') return help
  if (flag.kind === 'choice') return `${help}:word:(${flag.choices.join(' ')})`
  const complete = 'complete' in flag ? flag.complete : undefined
  return `${help}:value:${complete === 'file' ? '_files' : complete === 'host' ? `_${PROGRAM}_words host` : ''}`
}

function zshAction({ complete }: ArgumentSpec): string {
  if (complete === 'file') return '_files'
  if (complete === 'host' || complete === 'code') return `_${PROGRAM}_words ${complete}`
  return complete === undefined ? '' : `(${complete.join(' ')})`
}

function fishValue(flag: FlagSpec): string {
  if (flag.kind === 'switch') return ''
  if (flag.kind === 'choice') return ` -x -a '${flag.choices.join(' ')}'`
  const complete = 'complete' in flag ? flag.complete : undefined
  if (complete === 'file') return ' -r -F'
  return complete === 'host' ? ` -x -a '(${PROGRAM} __complete host)'` : ' -x'
}

function fishAction({ complete }: ArgumentSpec): string {
  if (complete === 'host' || complete === 'code') return `(${PROGRAM} __complete ${complete})`
  return complete === undefined || complete === 'file' ? '' : complete.join(' ')
}

// Help texts stand in single quotes, and in zsh also in brackets.
function quoteless(text: string): string {
  return text.replaceAll("'", '').replaceAll('[', '(').replaceAll(']', ')').replaceAll(':', ' -')
}
