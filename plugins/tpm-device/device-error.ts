/**
 * The one error of this room: what stands between this process and the TPM.
 *
 * @module
 */

/**
 * Ways a TPM can be out of reach.
 *
 * `MISSING`: no such device, or something else at its path. `DENIED`: this user may not open it. `BUSY`: another
 * process has it alone. `LOST`: the connection, or a handle of it, is gone. `HUNG`: no answer in time. `BROKEN`: an
 * answer that is none. `BANK_INACTIVE`: the TPM does not keep the PCR bank asked for. `PCR_UNSTEADY`: PCRs changed during
 * each of several quotes. `CLOSED`: closed by its owner.
 */
export type DeviceErrorCode =
  | 'TPM_MISSING'
  | 'TPM_DENIED'
  | 'TPM_BUSY'
  | 'TPM_LOST'
  | 'TPM_HUNG'
  | 'TPM_BROKEN'
  | 'TPM_BANK_INACTIVE'
  | 'TPM_PCR_UNSTEADY'
  | 'TPM_CLOSED'

/** Failure to reach the TPM; the message names the path and what to do, and holds nothing that was sent or received. */
export class TpmDeviceError extends Error {
  override readonly name = 'TpmDeviceError'
  readonly code: DeviceErrorCode

  /**
   * @param code The kind of failure.
   * @param message Path, what was expected and found, and what to do next; lower case, no final period.
   * @param cause The error below.
   */
  constructor(code: DeviceErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
