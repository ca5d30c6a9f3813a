/**
 * The verbs that only read.
 *
 * @module
 */
import { READ_FLAGS } from './shared-flags.ts'
import { defineVerb } from './spec.ts'

/** `towerkeep status`. */
export const STATUS = defineVerb({
  name: 'status',
  kind: 'read',
  summary: 'show how each host stands: TPM, Keylime, SPIRE, certificate',
  description: [
    'One row a host, joined from the Keylime registrar and verifier, the SPIRE server, and a live handshake with the Keylime agent.',
    "FRESH is the age of the last successful attestation by the verifier's own clock. VERDICT is what the plugin would decide now: the same rule, the same codes.",
    'A source that does not answer leaves ? in its columns and exit code 3; it never makes a row red or green. Below the table: the share of agents that are attested by TPM, by join token, that are polled with mutual TLS and without, then whatever is wrong.',
  ],
  arguments: [
    { name: 'HOST', help: 'Host name, agent ID or SPIFFE ID; without it all.', many: true, complete: 'host' },
  ],
  flags: {
    ...READ_FLAGS,
    watch: { kind: 'switch', short: 'w', help: 'Draw it anew every two seconds until interrupted.' },
    wait: { kind: 'switch', help: 'Return as soon as every host is as --for says.' },
    for: {
      kind: 'choice',
      choices: ['fresh', 'attested'],
      default: 'fresh',
      help: 'What --wait waits for: a fresh quote that passed, or also a SPIRE agent that is attested.',
    },
    within: {
      kind: 'duration',
      default: '120s',
      min: 1_000,
      max: 3_600_000,
      help: 'How long --wait waits; then the exit code is 2.',
    },
    'max-age': {
      kind: 'duration',
      min: 1_000,
      max: 3_600_000,
      help: 'A last success older than this is not fresh, whatever the plugin takes.',
    },
  },
  examples: [
    ['towerkeep status', 'all hosts'],
    ['towerkeep status --wait --for attested --within 5m', 'after a power cut, before the vault is unsealed'],
    ['towerkeep status --output json', 'for a monitor'],
  ],
})

/** `towerkeep explain`. */
export const EXPLAIN = defineVerb({
  name: 'explain',
  kind: 'read',
  summary: 'say why a host has an identity or has none, link by link; or what a code means',
  description: [
    'Walks from the TPM to the SVID: registered, reachable, enrolled, quoted, admitted by the gate, attested at SPIRE, entries, SVID. Each link says its source and the time of the fact. It stops at the first broken link.',
    "The gate's clauses are those of the plugin, run with its configuration on the verifier's record.",
    'For a code such as KL-GATE-STALE or TK-KL-STALE it prints meaning, cause and next step, without asking anybody.',
  ],
  arguments: [{ name: 'WHAT', help: 'Host name, agent ID, SPIFFE ID or code.', required: true, complete: 'code' }],
  flags: { ...READ_FLAGS },
  examples: [
    ['towerkeep explain auth', 'why host auth has no SVID'],
    ['towerkeep explain KL-GATE-STALE', 'what the code in the log means'],
  ],
})
