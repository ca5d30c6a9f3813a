/**
 * The judgement: from facts to admit, refuse or not yet, with the codes that say why. Pure: no socket, no gRPC.
 *
 * @module
 */

export {
  type CatalogueStatus,
  type ErrorCode,
  entryOf,
  type IdentityCode,
  type MessageFacts,
  messageOf,
} from './catalogue/catalogue.ts'
export { type LogFacts, type Reason, Refusal, refusal } from './decision.ts'
export { attestationAge, type Decision, type EnrolledPolicy, type GateRules, judge } from './judge.ts'
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
