// A node whose agent half quotes by itself, as the server half meets it: messages of tpm/1, its own reading of them.
import { createHash } from 'node:crypto'
import type { FakeNode } from './fake-node.ts'
import type { QuoteKnobs, SoftwareTpm } from './software-tpm.ts'

/** What of such a node's answer shall be wrong; what is absent is right. */
export interface TpmNodeKnobs extends QuoteKnobs {
  readonly trustDomain?: string
  /** Agent ID bound into the quote. */
  readonly boundAs?: string
  /** Secret bound into the quote instead of the activated one. */
  readonly boundSecret?: Uint8Array
  /** PCRs quoted instead of those asked for. */
  readonly quoted?: readonly number[]
  /** Keys in the payload. */
  readonly claimed?: Pick<SoftwareTpm, 'ekTpm' | 'akTpm'>
}

const base64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64')

/** Makes such a node out of any. */
export function tpmNode({ agentId, tpm }: FakeNode, knobs: TpmNodeKnobs = {}): FakeNode {
  const { ekTpm, akTpm } = knobs.claimed ?? tpm
  return {
    agentId,
    tpm,
    payload: (changes = {}) => {
      const { agentId: id = agentId, hashAlg = tpm.hash } = changes
      const fields = { AgentID: id, HashAlg: hashAlg, Evidence: 'tpm/1', EK: ekTpm, AK: akTpm }
      return Buffer.from(
        JSON.stringify(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, base64(value)]))),
      )
    },
    respond: (challenge) => Buffer.from(JSON.stringify({ TPMQuote: base64(answer(agentId, tpm, challenge, knobs)) })),
  }
}

/** An older server half sends a nonce alone: it gets what a Keylime agent would quote, PCR 16 as it stands. */
function answer(agentId: string, tpm: SoftwareTpm, challenge: Uint8Array, knobs: TpmNodeKnobs): string {
  const fields = JSON.parse(Buffer.from(challenge).toString()) as Readonly<Record<string, string | undefined>>
  const read = (name: string): Buffer => Buffer.from(fields[name] ?? '', 'base64')
  const nonce = read('Nonce')
  if (fields['Evidence'] === undefined) return tpm.quotePcrs(nonce, [16], knobs)
  const pcrs = read('PCRs').toString()
  const secret = knobs.boundSecret ?? tpm.activate({ credential: read('Credential'), secret: read('CredentialSecret') })
  const hash = createHash('sha256')
  const parts = [
    'tower-of-omens/tpm/1',
    knobs.trustDomain ?? 'example.org',
    nonce,
    knobs.boundAs ?? agentId,
    read('PCRBank'),
    pcrs,
    secret,
  ]
  for (const part of parts.map((one) => Buffer.from(one))) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.length)
    hash.update(length).update(part)
  }
  const extraData = Buffer.concat([Buffer.of(1), hash.digest()])
  return tpm.quotePcrs(extraData, knobs.quoted ?? pcrs.split(',').map(Number), knobs)
}
