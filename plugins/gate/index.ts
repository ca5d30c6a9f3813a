/**
 * The judgement: from facts to admit, refuse or not yet, with the codes that say why. Pure: no socket, no gRPC.
 *
 * @module
 */

export {
  type CatalogueEntry,
  type CatalogueStatus,
  type ErrorCode,
  entryOf,
  errorCodes,
  type GateCode,
  isErrorCode,
  type NodeCode,
} from './catalogue/catalogue.ts'
export {
  AttestError,
  attestError,
  type Decision,
  inWords,
  type LogFacts,
  type Reason,
  reasonFor,
} from './decision.ts'
export {
  type AdmittedNode,
  defaultUuidReasons,
  type IdentityRules,
  judgeIdentity,
  type NodeIdentity,
  overtakenReasons,
  type RegisteredNode,
  shortFingerprint,
  undecidedHolder,
  withoutHolder,
} from './identity-rules.ts'
export {
  attestationAge,
  type EnrolledPolicy,
  enrolledPolicy,
  type GateRules,
  type Judgement,
  judge,
  maxAgeMs,
  type OwnEvidence,
} from './judge.ts'
export { keylimeCode, nextStep, type Published, published } from './keylime-codes.ts'
export { explain } from './known-strings.ts'
export { parseTpmPolicy, type TpmPolicy, TpmPolicyError } from './policy.ts'
export type { ProvedPcrs } from './proved-pcrs.ts'
export { type EvidenceKind, isPushMode, type JudgedEvidence } from './push-gate.ts'
export { selectorsFor } from './selectors.ts'
export {
  checksNothing,
  describeStrength,
  type MeasuredBootVouch,
  type PolicyRequirement,
  type PolicyStrength,
  parseRequirement,
  strengthOf,
  unmetRequirements,
  vouchOf,
} from './strength.ts'
