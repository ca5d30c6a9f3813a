/**
 * The daemon, and tools around the command line itself.
 *
 * @module
 */
import { defineVerb } from './spec.ts'

/** `towerkeep watch`. */
export const WATCH = defineVerb({
  name: 'watch',
  kind: 'daemon',
  summary: 'take the identity of a host that Keylime fails away, within seconds',
  description: [
    "Listens for the verifier's revocation webhook, reads all records at short intervals, judges each with the plugin's own rule, and bans or evicts SPIRE agents. What the webhook says is never believed: it only rings a bell, and the record decides.",
    'A verdict (failed quote, stopped, push mode FAIL) bans: only a person lifts a ban. Absence (unreachable, stale, gone) evicts: the host comes back by itself. When many hosts go absent at once, evictions stop and become one alert, since then Keylime is what failed.',
    'Mode observe, the default, does nothing but say what it would do. SIGHUP reads configuration and certificates again.',
  ],
  arguments: [],
  flags: {
    mode: {
      kind: 'choice',
      choices: ['observe', 'evict', 'ban'],
      help: 'Instead of the mode in the configuration.',
    },
    check: { kind: 'switch', help: 'Read the configuration, say what is wrong with it, and end.' },
  },
  examples: [
    ['towerkeep watch --check', 'before a restart'],
    ['towerkeep watch --mode observe', 'to see what it would do'],
  ],
})

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
