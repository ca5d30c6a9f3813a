/**
 * Clients of Keylime's REST API.
 *
 * @module
 */

export { AttestationsClient } from './attestations-client.ts'
export { KeylimeAgentClient } from './keylime-agent-client.ts'
export { RegistrarClient } from './registrar-client.ts'
export type { AgentRecord } from './v2/agent-record.ts'
export type { RegistrarRecord, Registration } from './v2/registrar-record.ts'
export type { Attestation } from './v3/attestation.ts'
export { type AgentRecords, type Opinion, VerifierClient } from './verifier-client.ts'
