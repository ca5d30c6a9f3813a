/**
 * PCR values of a node, proved by its TPM over a nonce of ours: never what the agent merely says.
 *
 * @module
 */
import { type AgentId, isKeylimeError } from '@tower-of-omens/keylime'
import type { KeylimeAgentClient, RegistrarRecord } from '@tower-of-omens/keylime/api'
import { newNonce, parseQuote, registeredKeys } from '@tower-of-omens/keylime/evidence'
import { isHashAlg, pcrDigestOf, verifySignature } from '@tower-of-omens/tpm'
import { refusedBecause } from '../act/preconditions.ts'

/** What several quotes agree on. */
export interface ProvedPcrs {
  /** PCR to value, hex, in the bank of the quotes. */
  readonly pcrs: ReadonlyMap<number, string>
  /** The boot log that came with them, not proved by itself: it must lead to the values. */
  readonly bootLog?: Buffer
}

/**
 * Has a node's TPM quote PCRs several times, and proves each quote by the registered keys.
 *
 * @param agent Its Keylime agent.
 * @param record What the registrar knows of it.
 * @param wish `pcrs`: which. `times`: how many quotes must agree.
 * @param signal The caller's.
 * @returns The values.
 * @throws {OperatorError} `TK-ACT-REFUSED`: a quote is not by the registered keys over our nonce, or two differ.
 */
export async function provePcrs(
  agent: KeylimeAgentClient,
  record: RegistrarRecord,
  wish: { readonly pcrs: readonly number[]; readonly times: number },
  signal: AbortSignal,
): Promise<ProvedPcrs> {
  const mask = wish.pcrs.reduce((bits, pcr) => bits | (1 << pcr), 0)
  let first: ProvedPcrs | undefined
  for (let time = 0; time < wish.times; time += 1) {
    const next = await proveOnce(agent, record, { pcrs: wish.pcrs, mask }, signal)
    first ??= next
    for (const [pcr, value] of first.pcrs) {
      if (next.pcrs.get(pcr) !== value)
        throw refusedBecause(`PCR ${pcr} of ${record.agentId} changed between two quotes: wait until the boot is over`)
    }
  }
  if (first === undefined) throw refusedBecause('no quote was asked for')
  return first
}

async function proveOnce(
  agent: KeylimeAgentClient,
  record: RegistrarRecord,
  { pcrs, mask }: { readonly pcrs: readonly number[]; readonly mask: number },
  signal: AbortSignal,
): Promise<ProvedPcrs> {
  const nonce = newNonce()
  const answer = await agent.getIntegrityQuote(nonce, mask, { signal })
  const quote = parseQuote(answer.quote)
  const { ak, qualifiedSigner } = keysOf(record)
  const { attest, signature, attestBytes } = quote
  const { hashAlg } = signature
  const problems = [
    ...(attest.extraData.equals(Buffer.from(nonce)) ? [] : ['its nonce is not ours']),
    ...(isHashAlg(hashAlg) && attest.pcrDigest.equals(pcrDigestOf(hashAlg, quote.pcrs))
      ? []
      : ['its PCR values are not those that were signed']),
    ...(verifySignature(ak, signature, attestBytes) ? [] : ['it is not signed by the registered AK']),
    ...(attest.qualifiedSigner.equals(qualifiedSigner) ? [] : ['its AK is not under the registered EK']),
  ]
  if (problems.length > 0) throw refusedBecause(`the quote of ${record.agentId} proves nothing: ${problems.join(', ')}`)
  const { selection, values } = quote.pcrs
  const found = new Map(selection.pcrs.map((pcr, at) => [pcr, values[at]?.toString('hex') ?? '']))
  const missing = pcrs.filter((pcr) => !found.has(pcr))
  if (missing.length > 0) throw refusedBecause(`the quote of ${record.agentId} lacks PCR ${missing.join(', ')}`)
  return {
    pcrs: new Map(pcrs.map((pcr) => [pcr, found.get(pcr) ?? ''])),
    ...(answer.bootLog !== undefined && { bootLog: answer.bootLog }),
  }
}

function keysOf(record: RegistrarRecord): ReturnType<typeof registeredKeys> {
  try {
    return registeredKeys(record)
  } catch (error) {
    if (!isKeylimeError(error)) throw error
    throw refusedBecause(`the registered keys of ${record.agentId satisfies AgentId} cannot be used: ${error.message}`)
  }
}
