/**
 * The three messages between the halves under fuzz: what the other half, or whoever claims to be it, may send.
 *
 * @module
 */
import { KeylimeError } from '../../plugins/keylime/basis/errors.ts'
import {
  encodeChallenge,
  encodeChallengeResponse,
  encodePayload,
  parseChallenge,
  parseChallengeResponse,
  parsePayload,
} from '../../plugins/keylime/evidence/messages.ts'
import { newFakeNode } from '../fakes/fake-node.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const node = newFakeNode('node-1', new SoftwareTpm({ slot: 0 }))
const challenge = encodeChallenge({ nonce: 'A'.repeat(32) })

/** Reads a message and writes it again: what is read must be writable, and mean the same. */
const ROUND_TRIPS: readonly ((bytes: Buffer) => unknown)[] = [
  (bytes) => parsePayload(encodePayload(parsePayload(bytes))),
  (bytes) => parseChallenge(encodeChallenge(parseChallenge(bytes))),
  (bytes) => parseChallengeResponse(encodeChallengeResponse(parseChallengeResponse(bytes))),
]

/** The message parsers. */
export const keylimeMessages: FuzzTarget = {
  name: 'keylime-messages',
  mutants: 120_000,
  maxMs: 1000,
  corpus: [node.payload(), challenge, node.respond(challenge)],
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
    '0',
    '1e999',
    '""',
    '\\u0000',
    '\\ud800',
    '=',
    '==',
    '/',
    '-',
  ].map((text) => Buffer.from(text)),
  run(input) {
    const accepted = ROUND_TRIPS.filter((roundTrip) => {
      try {
        roundTrip(input)
        return true
      } catch (error) {
        if (error instanceof KeylimeError) return false
        throw error
      }
    })
    return accepted.length > 0 ? 'accepted' : 'refused'
  },
}
