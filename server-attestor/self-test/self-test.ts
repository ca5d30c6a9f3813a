/**
 * The known-answer test of the local proof: a good quote must verify, and bad ones must not, for each kind of key.
 *
 * It runs at Configure, before any node is judged. By the way it leaves the code warm, so that the first nodes after a
 * restart do not pay for that.
 *
 * @module
 */
import { isKeylimeError, parseAgentId } from '@tower-of-omens/keylime'
import { type Evidence, verifyQuote } from '@tower-of-omens/keylime/evidence'
import { RpcError } from '@tower-of-omens/spire-sdk'
import { KNOWN_ANSWERS, KNOWN_NONCE, type KnownAnswer } from './known-answers.ts'

/** What judges a quote: throws a `KeylimeError` of code `KEYLIME_QUOTE_REJECTED` for a bad one. */
export type Verifier = typeof verifyQuote

/** How long the test is repeated to leave the code warm. SPIRE waits for Configure meanwhile. */
const WARM_MS = 20

const AGENT_ID = parseAgentId('known-answer')

/**
 * Tests the local proof with quotes whose verdict is known.
 *
 * @param verify The proof.
 * @param clock Milliseconds, never going back.
 * @throws {RpcError} `INTERNAL`: a verdict is wrong; no node can be judged by this process.
 */
export function requireKnownAnswers(
  verify: Verifier = verifyQuote,
  clock: () => number = () => performance.now(),
): void {
  const began = clock()
  do {
    for (const [index, known] of KNOWN_ANSWERS.entries()) {
      requireAnswers(known, KNOWN_ANSWERS[(index + 1) % KNOWN_ANSWERS.length] ?? known, verify)
    }
  } while (clock() - began < WARM_MS)
}

function requireAnswers(known: KnownAnswer, other: KnownAnswer, verify: Verifier): void {
  const good: Evidence = { agentId: AGENT_ID, hashAlg: known.hashAlg, nonce: KNOWN_NONCE, quote: known.quote }
  requireVerdict(known, 'a good quote', verify, good, known, true)
  const otherNonce = KNOWN_NONCE.split('').toReversed().join('')
  requireVerdict(known, 'a quote over another nonce', verify, { ...good, nonce: otherNonce }, known, false)
  requireVerdict(
    known,
    'a quote with a changed signature',
    verify,
    { ...good, quote: changed(known.quote) },
    known,
    false,
  )
  requireVerdict(known, 'a quote by another TPM', verify, good, { ...known, ekTpm: other.ekTpm }, false)
}

function requireVerdict(
  { name, hashAlg }: KnownAnswer,
  what: string,
  verify: Verifier,
  evidence: Evidence,
  keys: Pick<KnownAnswer, 'akTpm' | 'ekTpm'>,
  isGood: boolean,
): void {
  const record = {
    agentId: AGENT_ID,
    akTpm: Buffer.from(keys.akTpm, 'base64'),
    ekTpm: Buffer.from(keys.ekTpm, 'base64'),
  }
  let found = 'accepted'
  try {
    verify(evidence, record, { allowedHashAlgs: [hashAlg] })
  } catch (error) {
    found = isKeylimeError(error, 'KEYLIME_QUOTE_REJECTED') ? 'rejected' : `not judged (${String(error)})`
  }
  const expected = isGood ? 'accepted' : 'rejected'
  if (found === expected) return
  throw new RpcError(
    'INTERNAL',
    `self-test failed: ${what}, ${name} key: expected ${expected}, found ${found}; no node can be judged: install the executable again, and compare its SHA-256 with SHA256SUMS of the release`,
  )
}

/** Changes one bit in the middle of the signature, the second of a quote's three parts. */
function changed(quote: string): string {
  const [attest = '', signature = '', pcrs = ''] = quote.split(':')
  const bytes = Buffer.from(signature, 'base64')
  const middle = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle)
  return [attest, bytes.toString('base64'), pcrs].join(':')
}
