/**
 * What a node sends to prove itself: messages, nonces, quotes, registered keys, EK certificates.
 *
 * @module
 */

export { type AgentData, DEFAULT_AGENT_DATA, parseAgentData } from './agent-data.ts'
export { type Binding, boundNonce } from './bound-nonce.ts'
export { checkBoundQuote, requireBoundSigner } from './bound-quote.ts'
export { type AnchorDates, anchorDates, type EkAnchors, loadEkAnchors } from './ek-anchors.ts'
export { type EkChain, type EkFault, judgeEkChain } from './ek-chain.ts'
export type { BoundTask, Evidence } from './evidence.ts'
export { type JudgedQuote, verifyJudgedQuote } from './judged-quote.ts'
export {
  type Challenge,
  type ChallengeResponse,
  encodeChallenge,
  encodeChallengeResponse,
  encodePayload,
  type Payload,
  parseChallenge,
  parseChallengeResponse,
  parsePayload,
} from './messages.ts'
export { newNonce } from './nonce.ts'
export { checkQuoteBinding, type ParsedQuote, parseQuote, requireSigner, verifyQuote } from './quote.ts'
export { registeredKeys } from './registered-keys.ts'
export type { ClaimedKeys, TpmTask } from './tpm-messages.ts'
