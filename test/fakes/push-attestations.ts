// The attestations of a push-mode verifier, under /v3.0/agents/:id/attestations: statuses and shapes of the real one.
import { randomBytes } from 'node:crypto'
import type { FakeRoute } from './fake-server.ts'
import type { FakeAnswer } from './faults.ts'
import { EMPTY_HTML } from './keylime-release.ts'
import { pythonJson } from './python-json.ts'
import type { QuoteKnobs, SoftwareTpm } from './software-tpm.ts'

/** What one attestation shall be; what is absent is right. */
export interface AttestationChanges {
  /** Default `verification_complete`. */
  readonly stage?: string
  /** Default `pass`. */
  readonly evaluation?: string
  /** PCRs quoted. Default 7. */
  readonly pcrs?: readonly number[]
  readonly knobs?: QuoteKnobs
  /** Changes the evidence as stored. */
  readonly edit?: (evidence: Record<string, unknown>) => unknown
  /** Further kinds of evidence, such as `ima_log`. */
  readonly logs?: readonly string[]
  /** Seconds since the evidence came. Default 1. */
  readonly ageSeconds?: number
  /** Still under way when somebody looks, and judged right after: with that the one before it is gone. */
  readonly judgedOnceSeen?: boolean
}

/** One attestation as it is shown, and as it is once it has been. */
interface Stored {
  readonly shown: object
  readonly judged?: object
}

/** Attestations of all agents of one verifier. */
export interface PushAttestations {
  /** Stores one more attestation of an agent, made by a TPM. */
  add(agentId: string, tpm: SoftwareTpm, changes?: AttestationChanges): void
  /** Answers `GET /v3.0/agents/:id/attestations[/…]`. */
  route(agentId: string, which: string | undefined): FakeRoute
}

const CHALLENGE_BYTES = 16
/** Measured on a real verifier: one attestation with small evidence. */
const LATEST_MS = 10.2

/** Makes an empty store. @param now Milliseconds of the verifier's clock. */
export function newPushAttestations(now: () => number): PushAttestations {
  const stored = new Map<string, (Stored | undefined)[]>()
  return {
    add: (agentId, tpm, changes = {}) => {
      const list = stored.get(agentId) ?? []
      stored.set(agentId, list)
      const made = attestationOf(tpm, changes, now())
      const underWay = changes.judgedOnceSeen === true && attestationOf(tpm, { stage: 'awaiting_evidence' }, now())
      list.push(underWay === false ? { shown: made } : { shown: underWay, judged: made })
    },
    route: (agentId, which) => ({
      endpoint: 'attestation',
      serviceMs: LATEST_MS,
      answer: () => answerOf(agentId, stored.get(agentId), which),
    }),
  }
}

function answerOf(agentId: string, list: (Stored | undefined)[] | undefined, which: string | undefined): FakeAnswer {
  if (list === undefined) return notFound(`No agent with ID '${agentId}' exists.`)
  // As the real one of 7.14.3: the index answers only while there is one.
  if (which === undefined)
    return list.length > 1 ? { status: 500, ...EMPTY_HTML } : jsonApi(200, { data: list.map((one) => one?.shown) })
  const index = which === 'latest' ? list.length - 1 : Number(which)
  const found = list[index]
  if (found === undefined) return notFound(`No attestation ${which} exists for agent '${agentId}'.`)
  if (found.judged !== undefined)
    list.splice(0, list.length, ...list.slice(0, -1).fill(undefined), { shown: found.judged })
  const links = { self: `/3/agents/${agentId}/attestations/${index}` }
  return jsonApi(201, { data: { type: 'attestation', attributes: found.shown, links } })
}

function attestationOf(tpm: SoftwareTpm, changes: AttestationChanges, nowMs: number): object {
  const { stage = 'verification_complete', evaluation = 'pass', pcrs = [7], ageSeconds = 1, logs = [] } = changes
  const received = new Date(nowMs - ageSeconds * 1000).toISOString().replace('Z', '000+00:00')
  const system = { system_info: { boot_time: '2026-11-27T20:08:22.000000+00:00' } }
  if (stage === 'awaiting_evidence') return { stage, evaluation: 'pending', evidence: [], ...system }
  const challenge = randomBytes(CHALLENGE_BYTES)
  const [message, signature, subject] = tpm.quotePcrs(challenge, pcrs, changes.knobs).slice(1).split(':')
  const quote: Record<string, unknown> = {
    evidence_class: 'certification',
    evidence_type: 'tpm_quote',
    chosen_parameters: {
      challenge: challenge.toString('base64'),
      signature_scheme: 'rsassa',
      hash_algorithm: tpm.hash,
      selected_subjects: { [tpm.hash]: pcrs },
    },
    data: { subject_data: subject, message, signature, meta: { pcrs: {} } },
  }
  const further = logs.map((evidence_type) => ({ evidence_class: 'log', evidence_type, data: { entries: '' } }))
  return {
    stage,
    evaluation,
    evidence: [changes.edit?.(quote) ?? quote, ...further],
    ...system,
    capabilities_received_at: received,
    evidence_received_at: received,
  }
}

function notFound(detail: string): FakeAnswer {
  return jsonApi(404, { errors: [{ status: '404', code: 'not_found', detail }] })
}

function jsonApi(status: number, body: object): FakeAnswer {
  return {
    status,
    contentType: 'application/json; charset=UTF-8',
    body: pythonJson({ ...body, jsonapi: { version: '1.1' } }),
  }
}
