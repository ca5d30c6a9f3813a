/**
 * The plugin's judgement of a record, and what it means for the host's identity.
 *
 * @module
 */
import { isPushMode, type Judgement, judge, type OwnEvidence, type Reason } from '@tower-of-omens/gate'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import type { AskedConfig } from '../server-attestor/config.ts'

/** What the plugin is configured with, as far as it decides. */
export type PluginRules = Pick<AskedConfig, 'gate' | 'allowedHashAlgs'>

/**
 * What a push-mode node would bring, taken to be good: whether it is, the plugin finds out at each attestation, with the
 * registrar's keys. What is said here of such a node is what its record says.
 */
const PUSHED: OwnEvidence = {
  kind: 'tpm',
  judged: { kind: 'proved', types: ['tpm_quote', 'uefi_log', 'ima_log'], ageSeconds: 0 },
}

/**
 * Judges a record as the plugin would, as far as the record alone decides.
 *
 * @param record The verifier's record.
 * @param plugin The plugin's configuration.
 * @returns Its decision.
 */
export function judgeAsPlugin(record: AgentRecord, plugin: PluginRules): Judgement {
  const accepted = record.acceptTpmHashAlgs
  const [first = 'sha256'] = plugin.allowedHashAlgs
  // The quote that would come with an attestation is not here; the node may use any algorithm that both sides take.
  const hashAlg = plugin.allowedHashAlgs.find((name) => accepted.includes(name)) ?? first
  return isPushMode(record) ? judge(record, hashAlg, plugin.gate, PUSHED) : judge(record, hashAlg, plugin.gate)
}

/** How a host stands, in one word. */
export type Standing = 'admitted' | 'verdict' | 'absent' | 'pending' | 'weak' | 'refused'

const VERDICTS: ReadonlySet<string> = new Set([
  'KL-GATE-FAILED',
  'KL-GATE-INVALID-QUOTE',
  'KL-GATE-STOPPED',
  'KL-GATE-STATUS-FAIL',
  'KL-GATE-PUSH-FAIL',
])
const ABSENCES: ReadonlySet<string> = new Set(['KL-GATE-UNREACHABLE', 'KL-GATE-STALE', 'KL-GATE-STATUS-TIMEOUT'])
const PENDING: ReadonlySet<string> = new Set([
  'KL-GATE-PENDING',
  'KL-GATE-COUNT-ZERO',
  'KL-GATE-NEVER',
  'KL-GATE-STATUS-PENDING',
  'KL-GATE-PUSH-EMPTY-POLICY',
])

/**
 * Sorts a decision by what it says of the host.
 *
 * @param decision The gate's.
 * @returns `verdict`: Keylime failed it. `absent`: it cannot be reached, or its last success is too old. `pending`: it has
 *   not passed yet. `weak`: its policy checks too little. `refused`: anything else.
 */
export function standingOf(decision: Judgement): Standing {
  if (decision.kind === 'admit') return 'admitted'
  const codes = decision.reasons.map(({ code }) => code)
  if (codes.some((code) => VERDICTS.has(code))) return 'verdict'
  // A record that never passed is pending, however old it is.
  if (codes.some((code) => PENDING.has(code)) && !codes.includes('KL-GATE-UNREACHABLE')) return 'pending'
  if (codes.some((code) => ABSENCES.has(code))) return 'absent'
  return codes[0]?.startsWith('KL-POLICY-') === true ? 'weak' : 'refused'
}

/**
 * Takes the reason that decides.
 *
 * @param decision The gate's.
 * @returns The first one; undefined when it admits.
 */
export function decidingReason(decision: Judgement): Reason | undefined {
  return decision.kind === 'admit' ? undefined : decision.reasons[0]
}
