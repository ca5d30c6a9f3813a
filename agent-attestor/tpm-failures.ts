/**
 * What SPIRE is told when the TPM is out of reach or refuses. Never `PERMISSION_DENIED`.
 *
 * @module
 */
import { RpcError, type StatusName } from '@tower-of-omens/spire-sdk'
import { TpmError } from '@tower-of-omens/tpm'
import { type ResponseCodeName, TpmResponseError } from '@tower-of-omens/tpm/commands'
import { type DeviceErrorCode, TpmDeviceError } from '@tower-of-omens/tpm-device'

type Status = Exclude<StatusName, 'PERMISSION_DENIED'>

/** Maps each way a TPM can be out of reach to a status; a forgotten one does not compile. */
export const DEVICE_STATUS: Readonly<Record<DeviceErrorCode, Status>> = {
  TPM_MISSING: 'UNAVAILABLE',
  TPM_DENIED: 'UNAVAILABLE',
  TPM_BUSY: 'UNAVAILABLE',
  TPM_LOST: 'UNAVAILABLE',
  TPM_HUNG: 'UNAVAILABLE',
  TPM_BROKEN: 'UNAVAILABLE',
  TPM_BANK_INACTIVE: 'FAILED_PRECONDITION',
  TPM_PCR_UNSTEADY: 'UNAVAILABLE',
  TPM_CLOSED: 'UNAVAILABLE',
}

const PASSWORD =
  'the endorsement hierarchy has a password, or another one than given: put it into a file and name that in tpm_endorsement_auth_file'
const MEMORY = 'it has no free slot for a key or a session: set tpm_path to /dev/tpmrm0, whose slots do not run out'

const REFUSALS: Readonly<Partial<Record<ResponseCodeName, readonly [Status, string]>>> = {
  AUTH_FAIL: ['FAILED_PRECONDITION', PASSWORD],
  BAD_AUTH: ['FAILED_PRECONDITION', PASSWORD],
  LOCKOUT: [
    'FAILED_PRECONDITION',
    'it is locked after too many wrong passwords: wait for its recovery time (tpm2_getcap properties-variable), or end it with tpm2_dictionarylockout -c',
  ],
  OBJECT_MEMORY: ['UNAVAILABLE', MEMORY],
  SESSION_MEMORY: ['UNAVAILABLE', MEMORY],
  RETRY: ['UNAVAILABLE', 'it has been busy for four seconds'],
  TESTING: ['UNAVAILABLE', 'it has been testing itself for four seconds'],
  YIELDED: ['UNAVAILABLE', 'it has been busy for four seconds'],
}

const UNEXPECTED = [
  'INTERNAL',
  'this is not expected of an attestation; look for the code in the TPM 2.0 specification',
] as const

/**
 * Words a failure of the TPM.
 *
 * @param error Anything thrown.
 * @returns The error with a status; undefined: it is not the TPM's.
 */
export function explainTpmFailure(error: unknown): RpcError | undefined {
  if (error instanceof TpmDeviceError) return new RpcError(DEVICE_STATUS[error.code], error.message, { cause: error })
  if (error instanceof TpmResponseError) {
    const [status, why] = (error.responseName && REFUSALS[error.responseName]) ?? UNEXPECTED
    return new RpcError(status, `${error.message}: ${why}`, { cause: error })
  }
  if (error instanceof TpmError) {
    return new RpcError('INTERNAL', `tpm answered what does not parse: ${error.message}`, { cause: error })
  }
  return undefined
}
