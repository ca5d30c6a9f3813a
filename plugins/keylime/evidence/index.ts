/**
 * What a node sends to prove itself: messages, nonces, quotes, registered keys, EK certificates.
 *
 * @module
 */

export { type EkAnchors, type EkChain, loadEkAnchors, verifyEkChain } from './ek-chain.ts'
export {
  type ChallengeResponse,
  type ClaimedIdentity,
  encodeChallenge,
  encodeChallengeResponse,
  encodePayload,
  parseChallenge,
  parseChallengeResponse,
  parsePayload,
} from './messages.ts'
export { newNonce } from './nonce.ts'
export { checkQuoteBinding, type Evidence, parseQuote, verifyQuote } from './quote.ts'
export { registeredKeys } from './registered-keys.ts'
