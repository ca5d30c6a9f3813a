/**
 * Which status SPIRE is told for what goes wrong with the TPM.
 *
 * @module
 */
import { RpcError } from '@tower-of-omens/spire-sdk'
import { TpmResponseError } from '@tower-of-omens/tpm/commands'
import { TpmDeviceError } from '@tower-of-omens/tpm-device'

/**
 * Translates errors of the TPM.
 *
 * @param error Anything thrown.
 * @returns `UNAVAILABLE` when the TPM cannot be reached; `UNIMPLEMENTED` for keys it does not make; `INTERNAL`, with the
 *   name of its answer, for what it refuses; `undefined` for any other error.
 */
export function toRpcError(error: unknown): RpcError | undefined {
  if (error instanceof TpmDeviceError) return new RpcError('UNAVAILABLE', error.message, { cause: error })
  if (!(error instanceof TpmResponseError)) return undefined
  if (error.responseName === 'VALUE') {
    return new RpcError('UNIMPLEMENTED', 'this tpm makes no keys of that type', { cause: error })
  }
  return new RpcError('INTERNAL', error.message, { cause: error })
}
