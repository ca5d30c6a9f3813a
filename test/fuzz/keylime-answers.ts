/**
 * Answers of verifier and registrar under fuzz, from the body's text to the record, and the policy text in it.
 *
 * @module
 */

import { parseTpmPolicy, TpmPolicyError } from '../../plugins/gate/policy.ts'
import { openEnvelope } from '../../plugins/keylime/api/envelope.ts'
import { parseAgentRecord } from '../../plugins/keylime/api/v2/agent-record.ts'
import { KeylimeError } from '../../plugins/keylime/basis/errors.ts'
import { parseAgentId } from '../../plugins/keylime/basis/ids.ts'
import { recorded } from '../fakes/recorded.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const who = 'keylime verifier 127.0.0.1:8881'
const agentId = parseAgentId('node-1')
const STATUSES = [200, 200, 200, 400, 401, 403, 404, 410, 500, 502]
const TYPES = ['application/json', 'text/html', '']

/** The first two bytes of a mutant choose status and media type; the rest is the body. */
function read(input: Buffer): void {
  const body = input.subarray(2).toString('utf8')
  const status = STATUSES[(input[0] ?? 0) % STATUSES.length] ?? 200
  const contentType = TYPES[(input[1] ?? 0) % TYPES.length] ?? ''
  const answer = { status, contentType, body, server: '', location: '', date: 1_700_000_000 }
  const results = openEnvelope(answer, { who, about: 'agent node-1', unknownOn404: true })
  const record = parseAgentRecord(results, agentId, { who, date: answer.date })
  parseTpmPolicy(record.tpmPolicy)
}

/** What the two services answer. */
export const keylimeAnswers: FuzzTarget = {
  name: 'keylime-answers',
  mutants: 100_000,
  maxMs: 1000,
  corpus: [
    'verifier-agent',
    'verifier-agent',
    'verifier-agent-unknown',
    'verifier-agent-no-cert',
    'registrar-agent',
  ].map((name) => Buffer.from(`\0\0${recorded(name).body}`)),
  pieces: [
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    'null',
    'true',
    '-1',
    '0.5',
    '1e999',
    '""',
    '{}',
    '[[[[',
    '\\u0000',
    '\\ud800',
  ]
    .concat([
      '"mask"',
      '"0x"',
      '"results"',
      '"operational_state"',
      '"port"',
      '"ip"',
      '"tpm_policy"',
      '<html>',
      '__proto__',
    ])
    .map((text) => Buffer.from(text)),
  run(input) {
    try {
      read(input)
      return 'accepted'
    } catch (error) {
      if (error instanceof KeylimeError || error instanceof TpmPolicyError) return 'refused'
      throw error
    }
  },
}
