/**
 * The registrar's record and the verifier's as one view of a node: read together, or neither counts.
 *
 * @module
 */
import type { Proof, ProvedNode } from '../proof.ts'
import { isSameRecord } from '../reading/registrar-records.ts'
import type { Standing } from './standing.ts'

/** A node and how it stands, both by one proof. */
export interface Found {
  readonly node: ProvedNode
  readonly first: Standing
}

/** How long the registrar may be asked before the verifier: a place in a queue, and less than an enrolment takes. */
const TOGETHER_MS = 5_000

/** How a node is asked about, by one proof and by a newer one. */
export interface Reading {
  /** Says whose TPM a proof is of, and asks the verifiers. */
  readonly ask: (proof: Proof) => Promise<Found>
  /** Proves the quote by what the registrars hold now. */
  readonly renew: () => Promise<Proof>
}

/**
 * Asks how a proved node stands, on a registrar's record that was read together with the verifier's.
 *
 * An ID may have passed to another TPM since a remembered record was read, or while we stood in a queue; the verifier
 * would then speak of that other one.
 *
 * @param proof What proves the node.
 * @param reading How to ask.
 * @returns The node and its standing, by the newest record.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: the ID belongs to another TPM now. Also whatever asking throws.
 */
export async function readTogether(proof: Proof, { ask, renew }: Reading): Promise<Found> {
  const renewal = proof.readAt === undefined ? renew() : undefined
  // Until it is awaited.
  renewal?.catch(() => undefined)
  const found = await ask(proof)
  const renewed = (await renewal) ?? proof
  // Of a contested ID the verifier itself has just confirmed the key.
  const latest = renewed.contested || areTogether(renewed, found.first) ? renewed : await renew()
  // By content: of a node that was never admitted no object is kept that a second read could give again.
  const isAsBefore = isSameRecord(latest.registered, proof.registered) && latest.contested === proof.contested
  return isAsBefore ? found : ask(latest)
}

// A registrar's record that is the newer of the two says who the node is after the verifier has spoken of it.
function areTogether({ readAt }: Proof, first: Standing): boolean {
  return first.kind === 'unknown' || (readAt !== undefined && readAt >= first.readAt - TOGETHER_MS)
}
