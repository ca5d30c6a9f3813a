/**
 * Checks of how Keylime stands with each host, and of how it is set up to notice.
 *
 * @module
 */
import { attestationAge } from '@tower-of-omens/gate'
import { type Finding, finding } from '../findings/finding.ts'
import type { FleetHost } from '../fleet.ts'
import type { JournalEntry } from '../plan/journal.ts'
import { isAgentAlone } from '../rubbish/kinds.ts'
import { retryBudgetSeconds } from '../site/retry-budget.ts'
import { hostFindings } from '../status/findings.ts'
import { statusRow } from '../status/row.ts'
import type { Check } from './check.ts'
import type { View } from './view.ts'

/** The checks. */
export const KEYLIME_CHECKS: readonly Check[] = [
  {
    id: 'keylime-hosts',
    area: 'keylime',
    finds: [
      'TK-KL-VERDICT',
      'TK-KL-ABSENT',
      'TK-KL-PENDING',
      'TK-KL-NOT-ENROLLED',
      'TK-KL-WEAK-POLICY',
      'TK-KL-REFUSED',
      'TK-KL-EK-MISMATCH',
      'TK-SPIRE-ABSENT',
      'TK-SPIRE-BANNED',
      'TK-SPIRE-EXPIRED',
      'TK-CERT-EXPIRED',
      'TK-CERT-LOW',
    ],
    needs: 'verifier, registrar, SPIRE server, the Keylime agents',
    blind: 'hosts that nobody has registered; agents of hosts that went away: check spire-rubbish',
    run: ({ fleet, now }) =>
      fleet.hosts
        .filter((host) => !isGone(host, fleet, now))
        .flatMap((host) => hostFindings(statusRow(host, fleet, now), host))
        .filter(({ id }) => !isJudgedElsewhere(id)),
  },
  {
    id: 'keylime-frozen',
    area: 'keylime',
    finds: ['TK-KL-NEVER', 'TK-KL-FROZEN'],
    needs: 'verifier; verifier.conf for its retries',
    blind: 'a host that was frozen less than all retries ago',
    run: frozenFindings,
  },
  {
    id: 'keylime-budget',
    area: 'keylime',
    finds: ['TK-KL-BUDGET'],
    needs: 'verifier.conf; the journal of towerkeep recover',
    blind: 'boots after which nothing had to be recovered',
    run: budgetFindings,
  },
  {
    id: 'keylime-versions',
    area: 'keylime',
    finds: ['TK-KL-VERSION'],
    needs: 'verifier, registrar',
    blind: 'agents that no verifier polls',
    run: versionFindings,
  },
  {
    id: 'keylime-notify',
    area: 'keylime',
    finds: ['TK-KL-NOTIFY-AGENT'],
    needs: 'verifier.conf',
    blind: 'whether the webhook arrives: towerkeep watch counts its bells',
    run: notifyFindings,
  },
]

// A service that speaks no version of ours says so in the reason why it could not be asked.
function versionFindings({ fleet }: View): readonly Finding[] {
  const { verifier, registrar } = fleet.failed
  return [
    ['keylime verifier', verifier] as const,
    ['keylime registrar', registrar] as const,
    ...fleet.hosts.map(({ name, broken }) => [name, broken] as const),
  ].flatMap(([subject, message]) =>
    message !== undefined && NO_COMMON_VERSION.test(message) ? [finding('TK-KL-VERSION', { subject, message })] : [],
  )
}

const NO_COMMON_VERSION = /speaks API .*; expected one of /

// What is left of a host that went away is rubbish, and no host that lacks something.
function isGone(host: FleetHost, { failed }: View['fleet'], now: number): boolean {
  return failed.registrar === undefined && failed.verifier === undefined && isAgentAlone(host, now)
}

// Left to the checks that know the cause better.
function isJudgedElsewhere(id: string): boolean {
  return id === 'TK-SPIRE-UNDECIDED'
}

function frozenFindings({ fleet, site }: View): readonly Finding[] {
  const budget = retryBudgetSeconds(site.verifier) ?? 62
  return fleet.hosts.flatMap((host) => {
    const record = host.record?.value
    if (record === undefined || (record.operationalState !== 3 && record.operationalState !== 4)) return []
    if ((record.attestationCount ?? 0) === 0) {
      const message = `is in state ${record.operationalState} and no quote ever passed`
      return [finding('TK-KL-NEVER', { host: host.name, subject: host.agentId, message })]
    }
    return frozen(host, budget)
  })
}

// With all retries used up the verifier would have given the host up, so nobody polls it.
function frozen(host: FleetHost, budget: number): readonly Finding[] {
  const age = host.record === undefined ? undefined : attestationAge(host.record.value)
  // The last interval and one request time-out come on top of the retries.
  const limit = budget + 30
  if (age === undefined || age <= limit) return []
  const message = `is in state ${host.record?.value.operationalState}, and its last success is ${Math.round(age)} s old: more than the ${limit} s in which the verifier gives a host up`
  return [
    finding('TK-KL-FROZEN', {
      host: host.name,
      subject: host.agentId,
      message,
      evidence: { age_seconds: Math.round(age), budget_seconds: budget },
    }),
  ]
}

function budgetFindings({ site, journal }: View): readonly Finding[] {
  const budget = retryBudgetSeconds(site.verifier)
  const longest = longestAbsence(journal)
  if (budget === undefined || longest === undefined || longest.seconds <= budget) return []
  const message = `the verifier gives a host up after ${Math.round(budget)} s, and ${longest.subject} was away for ${Math.round(longest.seconds)} s`
  return [
    finding('TK-KL-BUDGET', {
      subject: site.verifier?.files[0] ?? 'verifier.conf',
      message,
      evidence: { budget_seconds: Math.round(budget), away_seconds: Math.round(longest.seconds) },
    }),
  ]
}

// What `towerkeep recover` has seen.
function longestAbsence(
  journal: readonly JournalEntry[],
): { readonly subject: string; readonly seconds: number } | undefined {
  const seen = journal
    .filter(({ verb }) => verb === 'recover')
    .flatMap(({ steps }) =>
      steps.flatMap(({ facts }) => {
        const [seconds, host] = [facts?.['away_seconds'], facts?.['host']]
        return typeof seconds === 'number' && typeof host === 'string' ? [{ subject: host, seconds }] : []
      }),
    )
  return seen.toSorted((a, b) => b.seconds - a.seconds)[0]
}

function notifyFindings({ site }: View): readonly Finding[] {
  const { verifier } = site
  if (verifier === undefined) return []
  const found = verifier.list('enabled_revocation_notifications', 'revocations')
  const kinds = found?.value ?? ['agent']
  const subject = found?.from ?? verifier.files[0] ?? 'verifier.conf'
  if (!kinds.includes('webhook')) {
    return [
      finding('TK-KL-NOTIFY-AGENT', { subject, message: `notifies ${kinds.join(', ') || 'nobody'}: no webhook rings` }),
    ]
  }
  if (kinds.includes('agent')) {
    return [finding('TK-KL-NOTIFY-AGENT', { subject, message: 'also tells every agent, before the failure is stored' })]
  }
  const url = verifier.text('webhook_url', 'revocations')
  return url === undefined || url.value === ''
    ? [finding('TK-KL-NOTIFY-AGENT', { subject, message: 'webhook_url is not set' })]
    : []
}
