/**
 * One attestation of a push-mode node, from its JSON: what the verifier judged, and when.
 *
 * @module
 */
import * as v from 'valibot'
import type { AgentId } from '../../basis/ids.ts'
import type { JudgedQuote } from '../../evidence/judged-quote.ts'
import { parseShape } from '../shape.ts'

/** What a verifier keeps of one attestation. */
export interface Attestation {
  /** Counted from 0 for each agent. */
  readonly index: number
  /** `awaiting_evidence`, `evaluating_evidence`, `verification_complete`, others as they come. */
  readonly stage: string
  /** `pass`, `fail`, `pending`, others as they come. */
  readonly evaluation: string
  /** Kinds of evidence that came: `tpm_quote`, `uefi_log`, `ima_log`. */
  readonly evidenceTypes: readonly string[]
  /** Absent while none came. */
  readonly quote?: JudgedQuote
  /** Epoch seconds of the verifier's clock; absent while none came. */
  readonly evidenceReceivedAt?: number
  /** Epoch seconds of the verifier's clock when it answered; absent when it sent no `Date`. */
  readonly receivedAt?: number
}

const evidence = v.object({
  evidence_type: v.string(),
  chosen_parameters: v.nullish(v.object({ challenge: v.nullish(v.string()) })),
  data: v.nullish(
    v.object({
      message: v.nullish(v.string()),
      signature: v.nullish(v.string()),
      subject_data: v.nullish(v.string()),
    }),
  ),
})
const ATTESTATION = v.object({
  attributes: v.object({
    stage: v.string(),
    evaluation: v.string(),
    evidence: v.array(evidence),
    evidence_received_at: v.nullish(v.string()),
  }),
  links: v.object({ self: v.pipe(v.string(), v.regex(/\/attestations\/\d{1,9}$/, 'a path that ends in a number')) }),
})

type Evidence = v.InferOutput<typeof evidence>

/**
 * Parses an attestation.
 *
 * @param data `data` of the answer.
 * @param agentId The agent asked for.
 * @param answer The service, for messages, and its `Date`.
 * @returns The attestation, without logs and all else that nobody needs.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: a field is missing or of another kind.
 */
export function parseAttestation(
  data: unknown,
  agentId: AgentId,
  answer: { readonly who: string; readonly date?: number },
): Attestation {
  const { attributes, links } = parseShape(ATTESTATION, data, answer.who, `attestation of agent ${agentId}`)
  const came = attributes.evidence.filter(({ data: sent }) => sent !== null && sent !== undefined)
  const quote = came.map(quoteOf).find((one) => one !== undefined)
  const at = secondsOf(attributes.evidence_received_at)
  return {
    index: Number(links.self.slice(links.self.lastIndexOf('/') + 1)),
    stage: attributes.stage,
    evaluation: attributes.evaluation,
    evidenceTypes: came.map(({ evidence_type }) => evidence_type),
    ...(quote !== undefined && { quote }),
    ...(at !== undefined && { evidenceReceivedAt: at }),
    ...(answer.date !== undefined && { receivedAt: answer.date }),
  }
}

function quoteOf({ evidence_type, chosen_parameters, data }: Evidence): JudgedQuote | undefined {
  const { message, signature, subject_data: subjectData } = data ?? {}
  const challenge = chosen_parameters?.challenge
  if (evidence_type !== 'tpm_quote' || !message || !signature || !subjectData || !challenge) return undefined
  return { message, signature, subjectData, challenge }
}

function secondsOf(time: string | null | undefined): number | undefined {
  const milliseconds = Date.parse(time ?? '')
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000
}
