/**
 * Clients of Keylime's REST API.
 *
 * @module
 */

export { AgentClient } from './agent-client.ts'
export type { AgentRecord } from './agent-record.ts'
export { RegistrarClient, type RegistrarRecord } from './registrar-client.ts'
export { type AgentRecords, type IdentityQuestion, type IdentityVerdict, VerifierClient } from './verifier-client.ts'
