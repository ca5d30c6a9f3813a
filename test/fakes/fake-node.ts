// One host of the fake installation as the server half meets it: its ID, its TPM, its two messages.
import { createHash } from 'node:crypto'
import { type KeyKind, keyPem, testKeyFromPem } from './pki-keys.ts'
import { type QuoteKnobs, SoftwareTpm } from './software-tpm.ts'
import type { BankHash } from './tpm-bytes.ts'

/** A node that can answer a challenge. */
export interface FakeNode {
  readonly agentId: string
  readonly tpm: SoftwareTpm
  /** Makes the payload message: `{"AgentID":…,"HashAlg":…}`. */
  payload(changes?: { readonly agentId?: string; readonly hashAlg?: string }): Buffer
  /** Makes the challenge response: `{"TPMQuote":…,"PubKey":…}` over the nonce of a challenge message. */
  respond(challenge: Uint8Array, knobs?: QuoteKnobs): Buffer
}

/** What another process needs to play the same nodes. */
export interface FakeNodeKeys {
  readonly hash: BankHash
  readonly tpms: readonly Readonly<
    Record<'ek' | 'ak' | 'payloadKey', { readonly kind: KeyKind; readonly pem: string }>
  >[]
  readonly nodes: readonly { readonly agentId: string; readonly tpm: number }[]
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/**
 * Makes a node.
 * @param tpm Its TPM; several nodes may share one.
 */
export function newFakeNode(agentId: string, tpm: SoftwareTpm): FakeNode {
  return {
    agentId,
    tpm,
    payload: (changes = {}) => {
      const { agentId: id = agentId, hashAlg = tpm.hash } = changes
      return Buffer.from(JSON.stringify({ AgentID: base64(id), HashAlg: base64(hashAlg) }))
    },
    respond: (challenge, knobs) => {
      const { Nonce } = JSON.parse(Buffer.from(challenge).toString()) as { readonly Nonce: string }
      const quote = tpm.quote(Buffer.from(Nonce, 'base64').toString(), knobs)
      return Buffer.from(JSON.stringify({ TPMQuote: base64(quote), PubKey: base64(tpm.payloadPem) }))
    },
  }
}

/**
 * Makes nodes that share a few TPMs, so that thousands cost nothing.
 * @param tpms The TPMs they share; the first node of each is named by the hash of its EK.
 * @returns The nodes; IDs depend on the TPMs, so that two installations share none.
 */
export function newFakeNodes(count: number, tpms: readonly SoftwareTpm[]): FakeNode[] {
  const nodes: FakeNode[] = []
  for (let index = 0; index < count; index += 1) {
    const tpm = tpms[index % tpms.length]
    if (tpm === undefined) throw new Error('no TPM to share')
    const isFirst = index < tpms.length
    nodes.push(
      newFakeNode(isFirst ? tpm.ekUuid : createHash('sha256').update(`${tpm.ekUuid} ${index}`).digest('hex'), tpm),
    )
  }
  return nodes
}

/** Writes nodes down for another process; holds private keys, so it belongs in the test's own folder. */
export function exportNodes(nodes: readonly FakeNode[]): FakeNodeKeys {
  const tpms = [...new Set(nodes.map((node) => node.tpm))]
  return {
    hash: tpms[0]?.hash ?? 'sha256',
    tpms: tpms.map((tpm) => {
      const [ek, ak, payloadKey] = [tpm.ek, tpm.ak, tpm.payloadKey].map((key) => ({ kind: key.kind, pem: keyPem(key) }))
      if (ek === undefined || ak === undefined || payloadKey === undefined) throw new Error('a TPM has three keys')
      return { ek, ak, payloadKey }
    }),
    nodes: nodes.map(({ agentId, tpm }) => ({ agentId, tpm: tpms.indexOf(tpm) })),
  }
}

/** Reads nodes back. */
export function importNodes(keys: FakeNodeKeys): FakeNode[] {
  const tpms = keys.tpms.map(
    ({ ek, ak, payloadKey }) =>
      new SoftwareTpm({
        hash: keys.hash,
        ek: testKeyFromPem(ek.kind, ek.pem),
        ak: testKeyFromPem(ak.kind, ak.pem),
        payloadKey: testKeyFromPem(payloadKey.kind, payloadKey.pem),
      }),
  )
  return keys.nodes.map(({ agentId, tpm: index }) => {
    const tpm = tpms[index]
    if (tpm === undefined) throw new Error(`no TPM ${index}`)
    return newFakeNode(agentId, tpm)
  })
}
