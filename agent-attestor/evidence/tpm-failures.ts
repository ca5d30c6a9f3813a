/**
 * What SPIRE is told when the TPM is out of reach or refuses. Never `PERMISSION_DENIED`.
 *
 * @module
 */
import type { NodeCode } from '@tower-of-omens/gate'
import { TpmError } from '@tower-of-omens/tpm'
import { type ResponseCodeName, TpmResponseError } from '@tower-of-omens/tpm/commands'
import { type DeviceErrorCode, TpmDeviceError } from '@tower-of-omens/tpm-device'
import { NodeError } from '../node-error.ts'

/** The code of each way a TPM can be out of reach; a forgotten one does not compile. */
const DEVICE_CODES: Readonly<Record<DeviceErrorCode, NodeCode>> = {
  TPM_MISSING: 'KL-TPM-UNAVAILABLE',
  TPM_DENIED: 'KL-TPM-UNAVAILABLE',
  TPM_BUSY: 'KL-TPM-UNAVAILABLE',
  TPM_LOST: 'KL-TPM-UNAVAILABLE',
  TPM_HUNG: 'KL-TPM-UNAVAILABLE',
  TPM_BROKEN: 'KL-TPM-UNAVAILABLE',
  TPM_BANK_INACTIVE: 'KL-TPM-REFUSES',
  TPM_PCR_UNSTEADY: 'KL-TPM-UNAVAILABLE',
  TPM_CLOSED: 'KL-TPM-UNAVAILABLE',
}

const PASSWORD =
  'the endorsement hierarchy has a password, or another one than given: put it into a file and name that in tpm_endorsement_auth_file'
const MEMORY = 'it has no free slot for a key or a session: set tpm_path to /dev/tpmrm0, whose slots do not run out'

const REFUSALS: Readonly<Partial<Record<ResponseCodeName, readonly [NodeCode, string]>>> = {
  AUTH_FAIL: ['KL-TPM-REFUSES', PASSWORD],
  BAD_AUTH: ['KL-TPM-REFUSES', PASSWORD],
  LOCKOUT: [
    'KL-TPM-REFUSES',
    'it is locked after too many wrong passwords: wait for its recovery time (tpm2_getcap properties-variable), or end it with tpm2_dictionarylockout -c',
  ],
  OBJECT_MEMORY: ['KL-TPM-UNAVAILABLE', MEMORY],
  SESSION_MEMORY: ['KL-TPM-UNAVAILABLE', MEMORY],
  RETRY: ['KL-TPM-UNAVAILABLE', 'it has been busy for four seconds'],
  TESTING: ['KL-TPM-UNAVAILABLE', 'it has been testing itself for four seconds'],
  YIELDED: ['KL-TPM-UNAVAILABLE', 'it has been busy for four seconds'],
}

const UNEXPECTED = [
  'KL-TPM-UNEXPECTED',
  'this is not expected of an attestation; look for the code in the TPM 2.0 specification',
] as const

/**
 * Words a failure of the TPM.
 *
 * @param error Anything thrown.
 * @returns What keeps the node from being attested; undefined: it is not the TPM's.
 */
export function explainTpmFailure(error: unknown): NodeError | undefined {
  if (error instanceof TpmDeviceError) return new NodeError(DEVICE_CODES[error.code], error.message, error)
  if (error instanceof TpmResponseError) {
    const [code, why] = (error.responseName && REFUSALS[error.responseName]) ?? UNEXPECTED
    return new NodeError(code, `${error.message}: ${why}`, error)
  }
  if (error instanceof TpmError) {
    return new NodeError('KL-TPM-UNEXPECTED', `tpm answered what does not parse: ${error.message}`, error)
  }
  return undefined
}
