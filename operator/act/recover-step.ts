/**
 * The step that has a verifier begin anew with one host.
 *
 * @module
 */
import { isKeylimeError, type KeylimeErrorCode } from '@tower-of-omens/keylime'
import type { FleetHost } from '../fleet.ts'
import { DoneButLook, type Step } from '../plan/step.ts'
import type { VerifierPair } from '../sources/admin.ts'
import type { Recovery } from './recovering.ts'
import { until } from './waiting.ts'

/** Reactivations begin this long apart, so that a whole fleet does not ask at once. */
const APART_MS = 50

/**
 * Plans that the verifier begins anew with one host.
 *
 * @param host The host.
 * @param recovery What was decided about it.
 * @param at Its place among the hosts, from 0.
 * @param verifiers Every verifier; the one that has its record is told.
 * @param withinMs How long to wait for a new success.
 * @returns The step; what the verifier says against this host ends it and no other.
 */
export function recoverStep(
  host: FleetHost,
  recovery: Recovery,
  at: number,
  verifiers: readonly VerifierPair[],
  withinMs: number,
): Step {
  const { agentId, name, record } = host
  const verifier = verifiers.find(({ reader }) => reader.name === record?.verifier) ?? verifiers[0]
  const before = record?.value.lastSuccessfulAttestation ?? 0
  return {
    id: `reactivate-${agentId}`,
    title: `have the verifier begin anew with ${name} (${agentId})`,
    act: async (signal) => {
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, APART_MS))
      await unlessRefused(name, verifier?.admin.reactivate(agentId, { signal }))
      const away = recovery.kind === 'reactivate' ? recovery.awaySeconds : null
      return { host: name, away_seconds: away }
    },
    verify: async (signal) => {
      const passed = await until(
        async () => {
          const now = await verifier?.reader.getAgent(agentId, { signal })
          const passes = now?.operationalState === 3 || now?.operationalState === 5
          return passes && (now.lastSuccessfulAttestation ?? 0) > before ? true : undefined
        },
        { withinMs, signal },
      )
      if (passed !== true)
        throw new DoneButLook(`${name}: no new success within ${withinMs / 1000} s; towerkeep explain ${name}`)
    },
  }
}

async function unlessRefused(name: string, asked: Promise<void> | undefined): Promise<void> {
  try {
    await asked
  } catch (error) {
    if (!isKeylimeError(error) || !ABOUT_ONE_HOST.has(error.code)) throw error
    throw new DoneButLook(`${name} was not brought back: ${error.message}`)
  }
}

/** Answers that say nothing about other hosts. */
const ABOUT_ONE_HOST: ReadonlySet<KeylimeErrorCode> = new Set([
  'KEYLIME_AGENT_UNKNOWN',
  'KEYLIME_CONFLICT',
  'KEYLIME_BAD_RESPONSE',
])
