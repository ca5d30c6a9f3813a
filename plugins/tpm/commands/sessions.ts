/**
 * Policy sessions: how the use of an endorsement key is authorised.
 *
 * @see TCG EK Credential Profile 2.5, B.6.2 (PolicyA); TPM 2.0 Library, Part 3, 11.1 and 23.4
 * @module
 */
import { ALG, digestBytes, type HashAlg, hashId, MAX_DIGEST_BYTES } from '../algorithms.ts'
import { tpm2b, u8, u16, u32 } from '../encode.ts'
import { byPassword, HIERARCHY, newCommand, type TpmCommand } from './command.ts'

const POLICY_SESSION = 0x01

/**
 * Starts a policy session, unbound and unsalted: the bus to the TPM is this machine's own.
 *
 * @param hashAlg Hash of the policy, the nameAlg of the key it is for.
 * @param nonce At least 16 bytes; such a session uses it for nothing.
 * @returns The command; it answers with the session's handle.
 */
export function startPolicySession(
  hashAlg: HashAlg = 'sha256',
  nonce: Uint8Array = Buffer.alloc(16),
): TpmCommand<number> {
  return newCommand({
    name: 'StartAuthSession',
    code: 0x176,
    handles: [HIERARCHY.null, HIERARCHY.null],
    parameters: [tpm2b(nonce), tpm2b(), u8(POLICY_SESSION), u16(ALG.null), u16(hashId(hashAlg))],
    hasHandle: true,
    read: (reader, handle) => {
      reader.sized(digestBytes(hashAlg), 'nonce')
      return handle
    },
  })
}

/**
 * Satisfies PolicyA of an endorsement key: proves the password of the endorsement hierarchy to a session.
 *
 * @param session The session's handle.
 * @param secret The hierarchy's password; default none.
 * @returns The command.
 */
export function policySecretOfEndorsement(session: number, secret?: Uint8Array): TpmCommand<void> {
  return newCommand({
    name: 'PolicySecret',
    code: 0x151,
    handles: [HIERARCHY.endorsement, session],
    authorizations: [byPassword(secret)],
    // No nonce, command or name is bound; it never expires, and no ticket is wanted.
    parameters: [tpm2b(), tpm2b(), tpm2b(), u32(0)],
    read: (reader) => {
      reader.sized(MAX_DIGEST_BYTES, 'timeout')
      reader.u16('ticket tag')
      reader.u32('ticket hierarchy')
      reader.sized(MAX_DIGEST_BYTES, 'ticket')
    },
  })
}
