/**
 * TPM 2.0 commands as bytes, with the readers of their responses, and the templates of keys. Pure.
 *
 * @module
 */

export {
  activateCredential,
  certify,
  pcrRead,
  quote,
  type SealedCredential,
  type SignedAttest,
} from './attestation.ts'
export { FIRST_HANDLE, getHandles } from './capability.ts'
export { type Authorization, byPassword, byPolicy, HIERARCHY, type TpmCommand } from './command.ts'
export { create, createPrimary, flushContext, type LoadedKey, load, readPublic, type WrappedKey } from './keys.ts'
export { NV_READ_BYTES, nvRead, nvSize } from './nv.ts'
export { HEADER_BYTES, MAX_RESPONSE_BYTES, responseCodeOf } from './response.ts'
export { type ResponseCodeName, responseCodeName, TpmResponseError } from './response-code.ts'
export { policySecretOfEndorsement, startPolicySession } from './sessions.ts'
export { type SigningScheme, sign } from './signing.ts'
export {
  akTemplate,
  type EkType,
  ekTemplate,
  type SigningKeyType,
  signingTemplate,
  storageTemplate,
} from './templates.ts'
