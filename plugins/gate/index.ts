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
  type IdentityCode,
  isErrorCode,
  type MessageFacts,
  messageOf,
} from './catalogue/catalogue.ts'
export { type LogFacts, type Reason, Refusal, refusal } from './decision.ts'
export {
  attestationAge,
  type Clause,
  type Decision,
  type EnrolledPolicy,
  enrolledPolicy,
  type GateRules,
  judge,
  maxAgeMs,
} from './judge.ts'
export { explain } from './known-strings.ts'
export { parseTpmPolicy, type TpmPolicy, TpmPolicyError } from './policy.ts'
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
