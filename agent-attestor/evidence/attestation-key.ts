/**
 * The Keylime agent's attestation key, loaded into the TPM beside the Keylime agent.
 *
 * @module
 */
import { ekUuid } from '@tower-of-omens/keylime'
import type { AgentData } from '@tower-of-omens/keylime/evidence'
import { flushContext, load, TpmResponseError } from '@tower-of-omens/tpm/commands'
import {
  type Closable,
  type EndorsementKey,
  findEndorsementKey,
  Tpm,
  type TpmOptions,
  withEndorsementKey,
} from '@tower-of-omens/tpm-device'
import { NodeError } from '../node-error.ts'
import { keyFileVersion, requireKeyFile } from './key-file.ts'

/** Where the key is, and what its use needs. */
export interface AttestationKeyOptions {
  readonly tpm: TpmOptions
  /** Path of `agent_data.json`. */
  readonly keyFile: string
  /** Password of the endorsement hierarchy. */
  readonly endorsementSecret?: Uint8Array | undefined
}

/** A loaded attestation key and the endorsement key above it; held until closed. */
export class AttestationKey implements Closable {
  readonly tpm: Tpm
  readonly ek: EndorsementKey
  readonly handle: number
  readonly data: AgentData
  /** Which writing of the file it is from. */
  readonly fileVersion: string

  private constructor(tpm: Tpm, loaded: Omit<AttestationKey, 'tpm' | 'close'>) {
    this.tpm = tpm
    this.ek = loaded.ek
    this.handle = loaded.handle
    this.data = loaded.data
    this.fileVersion = loaded.fileVersion
  }

  /**
   * Opens the TPM, finds the endorsement key the file names, and loads the attestation key under it.
   *
   * @param options Paths, limit, password.
   * @returns The loaded key.
   * @throws {RpcError} As `requireKeyFile`; `FAILED_PRECONDITION`: file and TPM do not belong together.
   * @throws {TpmDeviceError} @throws {TpmResponseError} The TPM is out of reach, or refuses; `tpm-failures.ts` maps each.
   */
  static async open(options: AttestationKeyOptions): Promise<AttestationKey> {
    const { keyFile, endorsementSecret } = options
    const fileVersion = keyFileVersion(keyFile)
    const data = await requireKeyFile(keyFile)
    const tpm = await Tpm.open(options.tpm)
    try {
      const ek = await requireEndorsementKey(tpm, data, options)
      const handle = await loadKey(tpm, ek, data, keyFile, endorsementSecret)
      return new AttestationKey(tpm, { ek, handle, data, fileVersion })
    } catch (error) {
      await tpm.close()
      throw error
    }
  }

  /** Takes what was loaded out of the TPM, also where no resource manager does it, and closes the TPM. */
  async close(): Promise<void> {
    const loaded = [this.handle, ...(this.ek.isTransient ? [this.ek.handle] : [])]
    for (const handle of loaded) await this.tpm.run(flushContext(handle)).catch(() => undefined)
    await this.tpm.close()
  }
}

async function requireEndorsementKey(
  tpm: Tpm,
  { ekHash }: AgentData,
  { keyFile, endorsementSecret }: AttestationKeyOptions,
): Promise<EndorsementKey> {
  const ek = await findEndorsementKey(tpm, ({ pem }) => ekUuid(pem) === ekHash, endorsementSecret)
  if (ek !== undefined) return ek
  throw new NodeError(
    'KL-NODE-KEY-OTHER-TPM',
    `keylime agent's key file ${keyFile} is for endorsement key ${ekHash}, which tpm ${tpm.path} does not have: if the TPM was cleared or the file copied, delete it, restart the keylime agent and enrol the node again; if that key is RSA 3072 or P-384, make it persistent (tpm2_evictcontrol)`,
  )
}

async function loadKey(
  tpm: Tpm,
  ek: EndorsementKey,
  data: AgentData,
  keyFile: string,
  secret: Uint8Array | undefined,
): Promise<number> {
  try {
    const work = (authorization: Parameters<typeof load>[2]) => tpm.run(load(ek.handle, data, authorization))
    return (await withEndorsementKey(tpm, ek, work, secret)).handle
  } catch (error) {
    if (!(error instanceof TpmResponseError) || error.responseName !== 'INTEGRITY') throw error
    throw new NodeError(
      'KL-NODE-KEY-OTHER-TPM',
      `tpm ${tpm.path} does not take the key of ${keyFile}: the TPM was cleared, or the file is another machine's: delete it, restart the keylime agent and enrol the node again`,
      error,
    )
  }
}
