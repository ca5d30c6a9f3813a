/**
 * The server side of one Keylime attestation: payload, challenge, local proof, second opinion, gate.
 *
 * @module
 */

import {
  AttestError,
  attestationAge,
  defaultUuidReasons,
  inWords,
  isPushMode,
  type LogFacts,
  overtakenReasons,
  type ProvedPcrs,
  type Reason,
  selectorsFor,
} from '@tower-of-omens/gate'
import type { AgentId } from '@tower-of-omens/keylime'
import { withDeadline } from '@tower-of-omens/keylime'
import { type Evidence, parsePayload } from '@tower-of-omens/keylime/evidence'
import type { AgentAttributes, AttestStream } from '@tower-of-omens/spire-sdk'
import { agentSpiffeId } from '@tower-of-omens/spire-sdk'
import { ATTESTATION_LIMIT_MS, challengeNode, kindOf, provedPcrsOf } from './challenge.ts'
import type { ServerConfig } from './config.ts'
import type { AttestContext } from './context.ts'
import { askerOf, PROVED } from './identity/caller.ts'
import { checkQuote, identify, type ProvedNode, prove, proveAgain, proveAnew } from './proof.ts'
import { PLUGIN_NAME } from './schema.ts'
import { readTogether } from './standing/read-together.ts'
import { type KnownStanding, type StandingSource, standingOf, waitForStanding } from './standing/standing.ts'

/** What is known of an attestation, for its one log line, also when it fails. */
export interface AttestationNotes {
  agentId?: AgentId
  facts: LogFacts
  /** Whether the quote is proved: before that the caller is a stranger. */
  proved: boolean
}

/**
 * Attests one node: has it quote a fresh nonce, proves the quote, and asks Keylime how the node stands.
 *
 * The payload only names a Keylime agent. The quote, verified here with the AK that the registrar holds for that name,
 * proves that the caller commands that TPM; the selectors come from Keylime's two records. Nothing else the caller says
 * reaches the result.
 *
 * @param stream One `Attest` call, whose messages are bounded to 64 KiB.
 * @param context Configuration in force and the services made from it.
 * @param notes Filled in on the way.
 * @returns SPIFFE ID `spiffe://<trust domain>/spire/agent/keylime/<agent id>` and its selectors.
 * @throws {AttestError} A verdict, a "not yet", or a fault of the verifier, with its code.
 * @throws {KeylimeError} A message does not parse, the local proof fails (`KEYLIME_QUOTE_REJECTED`), or registrar or
 *   verifier cannot answer. `status.ts` maps each.
 * @see spire-plugin-sdk 13afea2, proto/spire/plugin/server/nodeattestor/v1/nodeattestor.proto
 */
export async function attest(
  stream: AttestStream,
  context: AttestContext,
  notes: AttestationNotes,
): Promise<AgentAttributes> {
  const { config, clients, admitted } = context
  const ruling = rulingOf(stream, context, notes)
  const { registrar } = clients
  const standings: StandingSource = { verifiers: clients.verifiers, rules: config.gate }
  const payload = parsePayload(await stream.receivePayload())
  notes.agentId = payload.agentId
  ruling.requireNone(defaultUuidReasons(payload.agentId, config.identity))
  const asker = askerOf(stream, payload.agentId, admitted)
  // While the node is challenged: a process just started would otherwise do it after the answer, one service after the other.
  clients.greet()

  const { checked, node, first } = await withDeadline(stream.signal, ATTESTATION_LIMIT_MS, async (deadline) => {
    const answered = await challengeNode(payload, config, stream, deadline)
    const quote = checkQuote(answered, config.allowedHashAlgs)
    const proof = await prove(quote, registrar, asker, deadline.signal)
    notes.proved = true
    const { trustDomain, identity: rules } = config
    const found = await readTogether(proof, {
      ask: async (by) => {
        const identity = await identify(by.registered, { trustDomain, rules, admitted, now: context.now }, stream)
        const proved: ProvedNode = { ...by, identity }
        notes.facts = { ...notes.facts, ...factsOf(proved) }
        ruling.requireNone(identity.reasons)
        // After the proof, not before: a caller can hold the challenge while its node turns bad.
        return { node: proved, first: await standingOf(answered, proved, standings, deadline) }
      },
      renew: () => proveAnew(quote, registrar, PROVED, deadline.signal),
    })
    return { checked: quote, ...found }
  })
  const standing = await waitForStanding(
    first,
    {
      agentId: payload.agentId,
      waitMs: config.waitMs,
      held: context.held,
      sleep: context.sleep,
      ask: (deadline) => standingOf(checked.evidence, node, standings, deadline),
      proveAgain: (signal) => proveAgain(checked, node, registrar, PROVED, signal),
    },
    stream,
  )
  notes.facts = { ...notes.facts, verifier: standing.verifier }
  ruling.requireAdmitted(standing)
  // Nothing is awaited from here on, so of two that attest at the same moment one comes first.
  ruling.requireNone(overtakenReasons(node.identity, admitted.holder(payload.agentId)))
  notes.facts = { ...notes.facts, ...remember(node, standing, context, stream.log) }
  return attributesOf(node, standing, checked.evidence, config)
}

/** What becomes of reasons to refuse. */
interface Ruling {
  /** Refuses on any reason, or in shadow mode only says that it would. */
  requireNone(reasons: readonly Reason[]): void
  /** Lets only `admit` of the gate through. */
  requireAdmitted(standing: KnownStanding): void
}

function rulingOf(
  { log }: Pick<AttestStream, 'log'>,
  { config, metrics }: Pick<AttestContext, 'config' | 'metrics'>,
  notes: AttestationNotes,
): Ruling {
  const report = (reasons: readonly Reason[]): void => {
    if (reasons.length === 0) return
    log.warn('Shadow mode: would refuse this node', { agent_id: notes.agentId, clauses: inWords(reasons) })
    for (const { code } of reasons) metrics.shadowed(code)
  }
  return {
    requireNone: (reasons) => {
      const [first, ...rest] = reasons
      if (first !== undefined && config.gate.enforce) throw new AttestError([first, ...rest])
      report(reasons)
    },
    requireAdmitted: ({ decision }) => {
      report(decision.shadowed)
      if (decision.kind !== 'admit') throw new AttestError(decision.reasons)
    },
  }
}

function factsOf({ identity, contested }: ProvedNode): LogFacts {
  return {
    ek_sha256: identity.ekFingerprint,
    ...(contested && { registrars_disagree: true }),
    ...(identity.ekOutOfDate !== undefined && { ek_certificate: identity.ekOutOfDate }),
  }
}

function remember(
  { registered, identity, contested }: ProvedNode,
  { record, decision }: KnownStanding,
  { admitted, clients, policies, metrics }: Pick<AttestContext, 'admitted' | 'clients' | 'policies' | 'metrics'>,
  log: AttestStream['log'],
): LogFacts {
  const age = attestationAge(record) ?? 0
  admitted.add(identity)
  // Of a contested ID the first registrar holds another TPM's, which the next attestation has to find out again.
  if (!contested) clients.registrar.remember(registered)
  policies.warnIfNews(registered.agentId, decision.policy, log)
  metrics.admitted(age, decision.policy.strength)
  return { age_s: age, attestation_count: record.attestationCount ?? 0 }
}

function attributesOf(
  { registered, identity }: ProvedNode,
  { record, decision }: KnownStanding,
  evidence: Evidence,
  { trustDomain, pcrSelectors }: ServerConfig,
): AgentAttributes {
  const { agentId } = registered
  const { policy, strength } = decision.policy
  return {
    spiffeId: agentSpiffeId(trustDomain, PLUGIN_NAME, agentId),
    selectorValues: selectorsFor({
      agentId,
      hashAlg: evidence.hashAlg,
      ekFingerprint: identity.ekFingerprint,
      ekCaFingerprint: identity.ekCaFingerprint,
      ip: record.ip,
      policySha256: policy?.sha256,
      strength,
      evidence: kindOf(evidence),
      mode: isPushMode(record) ? 'push' : 'pull',
      pcrs: chosenPcrs(evidence, pcrSelectors),
    }),
    canReattest: true,
  }
}

function chosenPcrs(evidence: Evidence, chosen: readonly number[]): ProvedPcrs | undefined {
  const proved = provedPcrsOf(evidence)
  return proved && { ...proved, values: new Map([...proved.values].filter(([pcr]) => chosen.includes(pcr))) }
}
