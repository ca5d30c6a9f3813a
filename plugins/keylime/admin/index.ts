/**
 * What an administrator does at Keylime: enrols, stops, reactivates and deletes agents, and keeps named policies.
 *
 * Apart from the reading clients, so that the plugins, which import those alone, cannot change anything there.
 *
 * @module
 */

export type { Registration } from '../api/v2/registrar-record.ts'
export { ACCEPTED_ALGORITHMS, type AcceptedAlgorithms, type Enrolment, type TpmPolicyText } from './enrolment.ts'
export { type NamedPolicies, type NamedPolicy, newMeasuredBootPolicies, newRuntimePolicies } from './named-policies.ts'
export { RegistrarAdmin } from './registrar-admin.ts'
export { type UnenrolOptions, unenrol } from './unenrol.ts'
export { VerifierAdmin } from './verifier-admin.ts'
