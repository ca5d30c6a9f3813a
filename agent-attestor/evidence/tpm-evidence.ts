/**
 * Evidence that this half takes from the TPM itself, with the Keylime agent's own attestation key. The Keylime agent is
 * not asked; it may listen nowhere, or not run at all.
 *
 * @module
 */
import { type AgentId, parseAgentId } from '@tower-of-omens/keylime'
import {
  boundNonce,
  type Challenge,
  type ChallengeResponse,
  type Payload,
  type TpmTask,
} from '@tower-of-omens/keylime/evidence'
import type { Logger } from '@tower-of-omens/spire-sdk'
import { encodePcrBlob, type PcrSelection } from '@tower-of-omens/tpm'
import { activateCredential, TpmResponseError } from '@tower-of-omens/tpm/commands'
import { Kept, quotePcrs, withEndorsementKey } from '@tower-of-omens/tpm-device'
import { NodeError } from '../node-error.ts'
import { AttestationKey, type AttestationKeyOptions } from './attestation-key.ts'
import type { EvidenceSource } from './evidence-source.ts'
import { keyFileVersion } from './key-file.ts'
import { untilGone } from './until-gone.ts'

/** What evidence from the TPM needs to know. */
export interface TpmEvidenceOptions extends AttestationKeyOptions {
  readonly trustDomain: string
  /** `keylime_agent_uuid`; default: the hash of the endorsement key. */
  readonly pinnedId: AgentId | undefined
  readonly log: Logger
}

// The Keylime agent's own: its value is left as it stands, since a second writer would spoil the agent's quotes.
const KEY_PCR = 16

/** Quotes of the TPM itself, which is opened at the first attestation, and kept with its key. */
export class TpmEvidence implements EvidenceSource {
  readonly name: string
  readonly #options: TpmEvidenceOptions
  readonly #kept: Kept<AttestationKey>
  #warned = false

  /** @param options Paths, names, limits. */
  constructor(options: TpmEvidenceOptions) {
    this.#options = options
    this.name = `tpm ${options.tpm.path}`
    this.#kept = new Kept(() => AttestationKey.open(options))
  }

  async claim(signal: AbortSignal): Promise<Payload<string>> {
    return await untilGone(signal, this.#claim())
  }

  async answer({ nonce, task }: Challenge, signal: AbortSignal): Promise<ChallengeResponse> {
    if (task === undefined) this.#warnOnce()
    const quote = this.#kept.use((key) =>
      task === undefined
        ? quoteString(key, Buffer.from(nonce), { hashAlg: key.data.hashAlg, pcrs: [KEY_PCR] })
        : this.#perform(key, nonce, task),
    )
    return { quote: await untilGone(signal, quote) }
  }

  /** Gives the TPM up. */
  async close(): Promise<void> {
    await this.#kept.close()
  }

  async #claim(): Promise<Payload<string>> {
    const { ek, data } = await this.#current()
    return {
      agentId: this.#options.pinnedId ?? parseAgentId(data.ekHash),
      hashAlg: data.hashAlg,
      keys: { ek: ek.publicArea, ak: data.publicArea },
    }
  }

  // A Keylime agent writes its file at each start, mostly with the same key; what is in it now counts.
  async #current(): Promise<AttestationKey> {
    const key = await this.#kept.use(async (opened) => opened)
    if (key.fileVersion === keyFileVersion(this.#options.keyFile)) return key
    await this.#kept.close()
    return await this.#kept.use(async (opened) => opened)
  }

  async #perform(key: AttestationKey, nonce: string, task: TpmTask): Promise<string> {
    const { trustDomain, pinnedId } = this.#options
    const agentId = pinnedId ?? key.data.ekHash
    const secret = await this.#activate(key, task)
    const extraData = boundNonce({ trustDomain, nonce, agentId, bank: task.bank, pcrs: task.pcrs, secret })
    return await quoteString(key, extraData, { hashAlg: task.bank, pcrs: task.pcrs })
  }

  async #activate({ tpm, ek, handle }: AttestationKey, task: TpmTask): Promise<Buffer> {
    try {
      return await withEndorsementKey(
        tpm,
        ek,
        (authorization) => tpm.run(activateCredential(handle, ek.handle, task, authorization)),
        this.#options.endorsementSecret,
      )
    } catch (error) {
      if (!(error instanceof TpmResponseError) || error.responseName !== 'INTEGRITY') throw error
      throw new NodeError(
        'KL-NODE-KEY-RENEWED',
        `tpm ${tpm.path} cannot open the credential of the server half: the keylime agent made another key since this attestation began; it begins anew`,
        error,
      )
    }
  }

  #warnOnce(): void {
    if (this.#warned) return
    this.#warned = true
    this.#options.log.warn(
      'server half is an older one: it takes a plain quote, which another host could relay; update it',
      { evidence: 'tpm' },
    )
  }
}

async function quoteString(key: AttestationKey, extraData: Uint8Array, selection: PcrSelection): Promise<string> {
  const { attest, signature, values } = await quotePcrs(key.tpm, key.handle, extraData, selection)
  const parts = [attest, signature, encodePcrBlob(selection.hashAlg, values)]
  return `r${parts.map((part) => part.toString('base64')).join(':')}`
}
