/**
 * What must hold on a node before anything is put there.
 *
 * @module
 */
import { createServer } from 'node:net'
import { ekUuid } from '@tower-of-omens/keylime'
import { flushContext } from '@tower-of-omens/tpm/commands'
import { findEndorsementKey, Tpm } from '@tower-of-omens/tpm-device'

/** The endorsement key of a TPM, as Keylime names it. */
export interface EkFacts {
  /** The ID that `uuid = "hash_ek"` gives. */
  readonly agentId: string
  readonly type: 'rsa' | 'ecc'
}

const TPM_TIMEOUT_MS = 15_000

/**
 * Reads which ID the node's TPM gives its Keylime agent.
 *
 * @param tpmPath The TPM's device.
 * @returns The ID.
 * @throws {TpmDeviceError} The TPM is missing, busy or may not be opened; the message says what to do.
 */
export async function ekFacts(tpmPath: string): Promise<EkFacts> {
  const tpm = await Tpm.open({ path: tpmPath, timeoutMs: TPM_TIMEOUT_MS })
  try {
    // The Keylime agent makes an RSA endorsement key unless it is told otherwise.
    const found = await findEndorsementKey(tpm, ({ type }) => type === 'rsa')
    if (found === undefined) throw new Error(`tpm ${tpmPath} has no RSA endorsement key`)
    if (found.isTransient) await tpm.run(flushContext(found.handle))
    return { agentId: ekUuid(found.key.pem), type: found.key.type }
  } finally {
    await tpm.close()
  }
}

/**
 * Looks whether a port is free.
 *
 * @param port The port.
 * @returns False when somebody listens there.
 */
export function isPortFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  return promise
}
