/**
 * One attestation with its one log line, its metrics, and the status and message that SPIRE is told.
 *
 * @module
 */

import { AttestError, attestError, type CatalogueStatus, entryOf, explain, nextStep } from '@tower-of-omens/gate'
import { CallerGone, DeadlinePassed, failureReason, isKeylimeError, KeylimeError } from '@tower-of-omens/keylime'
import type { AgentAttributes, AttestStream } from '@tower-of-omens/spire-sdk'
import { RpcError } from '@tower-of-omens/spire-sdk'
import { type AttestationNotes, attest } from './attest.ts'
import type { AttestContext } from './context.ts'
import { callerIp } from './identity/caller.ts'
import { codeOf, forUnproven, toRpcError } from './status.ts'
import type { AttestResult } from './telemetry/metrics.ts'

/**
 * Attests one node and reports it: one INFO line when it is admitted, else one line with the code and every clause.
 *
 * @param stream One `Attest` call.
 * @param context Configuration in force.
 * @returns What {@link attest} returns.
 * @throws {RpcError} With the status and the message for SPIRE; anything unknown is thrown as it is.
 */
export async function attestReported(stream: AttestStream, context: AttestContext): Promise<AgentAttributes> {
  const began = performance.now()
  const notes: AttestationNotes = { facts: {}, proved: false }
  context.metrics.began()
  try {
    const attributes = await attest(stream, context, notes)
    const durationMs = performance.now() - began
    context.metrics.ended('admitted', 'OK', durationMs)
    stream.log.info('Node attested', {
      agent_id: notes.agentId,
      ...notes.facts,
      selectors: attributes.selectorValues.filter((value) => value.startsWith('policy:')).join(' '),
      ...callerOf(stream),
      duration_ms: Math.round(durationMs),
    })
    return attributes
  } catch (thrown) {
    const error = settle(thrown, stream, notes)
    const durationMs = performance.now() - began
    context.metrics.ended(ENDINGS[entryOf(codeOf(error)).status].result, codeOf(error), durationMs)
    log(error, stream, notes, durationMs)
    throw toRpcError(outward(error, notes)) ?? error
  }
}

/** Names the node in an error, and what ended an attestation from outside: its caller, or its time. */
function settle(error: unknown, { signal }: AttestStream, notes: AttestationNotes): unknown {
  if (error instanceof CallerGone || signal.aborted) return attestError('KL-CANCELLED', {}, { cause: error })
  if (error instanceof DeadlinePassed) {
    const message = 'keylime did not answer within the time of one attestation: it is slow, or too many nodes wait'
    return new KeylimeError('KEYLIME_TIMEOUT', message, { cause: error })
  }
  const own = isQueueFull(error) ? busy(error) : error
  if (!(own instanceof AttestError) || notes.agentId === undefined) return own
  return new AttestError(own.reasons, { cause: own.cause, facts: { agent_id: notes.agentId, ...own.facts } })
}

function isQueueFull(error: unknown): error is KeylimeError {
  return failureReason(error) === 'queue-full'
}

// Those that wait are attestations, to whoever reads it.
function busy(error: KeylimeError): AttestError {
  return attestError('KL-BUSY', { limit: Number(error.facts['limit']) }, { cause: error.cause })
}

// A rejected quote is no proof, also when it comes at the end of a wait, after one that held.
function outward(error: unknown, { proved, agentId }: AttestationNotes): unknown {
  return proved && !isKeylimeError(error, 'KEYLIME_QUOTE_REJECTED') ? error : forUnproven(error, agentId)
}

interface Ending {
  readonly result: AttestResult
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly headline: string
}

const ENDINGS: Readonly<Record<CatalogueStatus, Ending>> = {
  PERMISSION_DENIED: { result: 'refused', level: 'warn', headline: 'Node refused' },
  INVALID_ARGUMENT: { result: 'refused', level: 'warn', headline: 'Node refused' },
  FAILED_PRECONDITION: { result: 'not_yet', level: 'info', headline: 'Node not attested yet' },
  UNAVAILABLE: { result: 'failed', level: 'error', headline: 'Attestation failed' },
  INTERNAL: { result: 'failed', level: 'error', headline: 'Attestation failed' },
  DEADLINE_EXCEEDED: { result: 'failed', level: 'warn', headline: 'Attestation failed' },
  CANCELLED: { result: 'failed', level: 'debug', headline: 'Attestation given up by its caller' },
}

function log(error: unknown, stream: AttestStream, notes: AttestationNotes, durationMs: number): void {
  const code = codeOf(error)
  const { status } = entryOf(code)
  const { level, headline } = ENDINGS[status]
  stream.log[level](headline, {
    ...notes.facts,
    ...(error instanceof AttestError || error instanceof KeylimeError ? error.facts : {}),
    agent_id: notes.agentId,
    code,
    status,
    clauses: clausesOf(error),
    next_step: nextStep(error, code),
    ...hint(error),
    ...callerOf(stream),
    duration_ms: Math.round(durationMs),
  })
}

function clausesOf(error: unknown): string {
  if (error instanceof AttestError || error instanceof KeylimeError || error instanceof RpcError) return error.message
  return error instanceof Error ? error.name : typeof error
}

// Text of a cause can hold what an operator searched the net for; its meaning belongs beside it.
function hint(error: unknown): { readonly hint?: string } {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const known = explain(cause.message)
    if (known !== undefined) return { hint: known.means }
  }
  return {}
}

function callerOf(stream: AttestStream): { readonly caller_ip?: string } {
  const ip = callerIp(stream)
  return ip === undefined ? {} : { caller_ip: ip }
}
