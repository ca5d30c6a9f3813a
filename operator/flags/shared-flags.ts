/**
 * Flags that many verbs share.
 *
 * @module
 */

/** Flags of every verb. */
export const COMMON_FLAGS = {
  output: {
    kind: 'choice',
    choices: ['text', 'json', 'short'],
    default: 'text',
    short: 'o',
    help: 'How to print: a table for people, one JSON document, or a few lines to paste.',
  },
  config: {
    kind: 'text',
    value: 'FILE',
    complete: 'file',
    help: 'Configuration of towerkeep itself; without it /etc/towerkeep.hcl if there is one.',
  },
  timeout: {
    kind: 'duration',
    default: '10s',
    min: 100,
    max: 600_000,
    help: 'Limit of each question to a service.',
  },
  color: { kind: 'choice', choices: ['auto', 'never'], default: 'auto', help: 'Colour in text output.' },
  quiet: { kind: 'switch', short: 'q', help: 'No progress on standard error.' },
  verbose: { kind: 'switch', short: 'v', help: 'More on standard error: where each value comes from.' },
} as const

/** Flags of verbs that read. */
export const READ_FLAGS = {
  'fail-on': {
    kind: 'choice',
    choices: ['warn', 'crit'],
    default: 'warn',
    help: 'The least severity that makes the exit code differ from 0.',
  },
} as const

/** Flags of verbs that change something. */
export const CHANGE_FLAGS = {
  'dry-run': { kind: 'switch', help: 'Print the plan and end.' },
  yes: { kind: 'switch', help: 'Do not ask; needed where nobody can be asked.' },
} as const
