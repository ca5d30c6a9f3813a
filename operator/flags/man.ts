/**
 * Manual pages, made of the table of verbs.
 *
 * @module
 */
import { EXIT_MEANINGS } from '../exit-codes.ts'
import type { VerbSpec } from './spec.ts'
import { flagsOf, PROGRAM, PROGRAM_SUMMARY, shownVerbs } from './verbs.ts'
import { defaultWord, flagWords, synopsis } from './words.ts'

/**
 * Writes every manual page.
 *
 * @returns File name to troff text; `@VERSION@` stands for the version.
 */
export function manPages(): ReadonlyMap<string, string> {
  const pages = shownVerbs().map((verb): [string, string] => [`${pageName(verb)}.8`, verbPage(verb)])
  return new Map([[`${PROGRAM}.8`, programPage()], ...pages])
}

function pageName(verb: VerbSpec): string {
  return `${PROGRAM}-${verb.name.replace(' ', '-')}`
}

function programPage(): string {
  const verbs = shownVerbs().map(
    (verb) => `.TP\n.BR ${escaped(pageName(verb))} (8)\n${escaped(capital(verb.summary))}.`,
  )
  return `${heading(PROGRAM, PROGRAM_SUMMARY)}.SH SYNOPSIS
.B ${PROGRAM}
.I VERB
[OPTION...]
.SH DESCRIPTION
Joins what Keylime knows of a machine with what SPIRE gives it: shows it, explains it, and takes an identity away when
Keylime fails the machine.
Usually nothing has to be configured: services and files are found from the running processes and from SPIRE's and
Keylime's own configuration.
.SH VERBS
${verbs.join('\n')}
.SH FILES
.TP
.I /etc/towerkeep.hcl
What cannot be found: names of hosts, certificates, what watch may do.
.TP
.I /run/towerkeep/read.sock, /run/towerkeep/admin.sock
Where the daemon answers and takes orders.
${exits('read')}.SH SEE ALSO
${shownVerbs()
  .map((verb) => `.BR ${escaped(pageName(verb))} (8)`)
  .join(',\n')}
`
}

function verbPage(verb: VerbSpec): string {
  const flags = Object.entries(flagsOf(verb)).map(([name, flag]) => {
    const fallback = defaultWord(flag)
    const text = fallback === undefined ? flag.help : `${flag.help} Default: ${fallback}.`
    return `.TP\n.B ${escaped(flagWords(name, flag))}\n${escaped(text)}`
  })
  const words = verb.arguments.map(({ name, help }) => `.TP\n.I ${name}\n${escaped(help)}`)
  const examples = verb.examples.map(([line, what]) => `.TP\n.B ${escaped(line)}\n${escaped(capital(what))}.`)
  return `${heading(pageName(verb), verb.summary)}.SH SYNOPSIS
.B ${escaped(synopsis(verb))}
.SH DESCRIPTION
${verb.description.map(escaped).join('\n.PP\n')}
${section('ARGUMENTS', words)}.SH OPTIONS
${flags.join('\n')}
${section('EXAMPLES', examples)}${exits(verb.kind === 'change' ? 'change' : 'read')}.SH SEE ALSO
.BR ${PROGRAM} (8)
`
}

function heading(name: string, summary: string): string {
  return `.TH ${name.toUpperCase()} 8 "" "Tower of Omens @VERSION@" "System Administration"
.SH NAME
${escaped(name)} \\- ${escaped(summary)}
`
}

function section(title: string, parts: readonly string[]): string {
  return parts.length === 0 ? '' : `.SH ${title}\n${parts.join('\n')}\n`
}

function exits(kind: 'read' | 'change'): string {
  const lines = EXIT_MEANINGS.map(([code, read, change]) => {
    const meaning = kind === 'read' || change === 'the same' ? read : change
    return meaning === 'not used' ? '' : `.TP\n.B ${code}\n${escaped(capital(meaning))}.\n`
  })
  return `.SH EXIT STATUS\n${lines.join('')}`
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
}

/** Dashes that must not become hyphens, and lines that must not begin with a control character. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')
}
