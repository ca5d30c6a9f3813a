/**
 * A way to one TPM: a command goes out whole, its response comes back whole.
 *
 * @module
 */

/** An open way to a TPM. Never two commands at once: the owner waits for each response. */
export interface Transport {
  /** For messages. */
  readonly path: string
  /**
   * Sends a command and receives its response.
   *
   * @param command A whole command.
   * @returns A whole response, not yet read.
   * @throws {TpmDeviceError} `TPM_LOST`, `TPM_BROKEN`.
   */
  exchange(command: Uint8Array): Promise<Buffer>
  /** Gives the TPM up; what was loaded through a resource manager goes with it. */
  close(): Promise<void>
}
