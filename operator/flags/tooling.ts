/**
 * Tools around the command line itself.
 *
 * @module
 */
import { defineVerb } from './spec.ts'

/** `towerkeep completion`. */
export const COMPLETION = defineVerb({
  name: 'completion',
  kind: 'tool',
  summary: 'print the completion script of a shell',
  description: ['Prints a script that completes verbs, flags and host names. The package installs all three.'],
  arguments: [{ name: 'SHELL', help: 'bash, zsh or fish.', required: true, complete: ['bash', 'zsh', 'fish'] }],
  flags: {},
  examples: [['towerkeep completion bash > /etc/bash_completion.d/towerkeep', 'for bash']],
})

/** `towerkeep help`. */
export const HELP = defineVerb({
  name: 'help',
  kind: 'tool',
  summary: 'print help; with --output json the whole command line as data',
  description: ['Prints the help of a verb, or of all.'],
  arguments: [{ name: 'VERB', help: 'Whose help.', many: true }],
  flags: {},
  examples: [['towerkeep help --output json', 'every verb and flag as data']],
})

/** `towerkeep __complete`, which the completion scripts call. */
export const COMPLETE = defineVerb({
  name: '__complete',
  kind: 'tool',
  summary: 'print words that may stand here',
  description: ['Called by the completion scripts.'],
  arguments: [{ name: 'WHAT', help: 'host or code.', required: true, complete: ['host', 'code'] }],
  flags: {},
  examples: [],
  hidden: true,
})
