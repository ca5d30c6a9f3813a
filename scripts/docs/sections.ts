/**
 * The generated sections: tables made of the schemas, the selector list, the error catalogue and the metrics.
 *
 * @module
 */
import { AGENT_SCHEMA } from '../../agent-attestor/schema.ts'
import { KEEPER_SCHEMA } from '../../bundle-publisher-keeper/schema.ts'
import { TPM_KEYS_SCHEMA } from '../../key-manager-tpm/schema.ts'
import { findingReference } from '../../operator/findings/reference.ts'
import { exitReference, verbReference } from '../../operator/flags/reference.ts'
import { TOWERKEEP_SCHEMA } from '../../operator/site/towerkeep-conf.ts'
import { CATALOGUE, type CatalogueEntry, type CatalogueStatus } from '../../plugins/gate/catalogue/catalogue.ts'
import { FAULT_ENTRIES } from '../../plugins/gate/catalogue/faults.ts'
import { GATE_ENTRIES } from '../../plugins/gate/catalogue/gate.ts'
import { IDENTITY_ENTRIES } from '../../plugins/gate/catalogue/identity.ts'
import { NODE_ENTRIES } from '../../plugins/gate/catalogue/node.ts'
import { PUSH_ENTRIES } from '../../plugins/gate/catalogue/push.ts'
import { KNOWN_STRINGS } from '../../plugins/gate/known-strings.ts'
import { SELECTOR_KINDS } from '../../plugins/gate/selectors.ts'
import { FAILURES } from '../../plugins/keylime/basis/failure-kinds.ts'
import { renderReference } from '../../plugins/spire-sdk/hcl/index.ts'
import { SERVER_SCHEMA } from '../../server-attestor/schema.ts'
import { METRICS } from '../../server-attestor/telemetry/metrics.ts'
import type { Section } from './fill-sections.ts'
import { fleetsSection, numbersSection } from './numbers.ts'

/** Every section by the key of its marker. */
export const SECTIONS: Readonly<Record<string, Section>> = {
  numbers: numbersSection,
  fleets: fleetsSection,

  'server-keys': () => renderReference(SERVER_SCHEMA),
  'agent-keys': () => renderReference(AGENT_SCHEMA),
  'keeper-keys': () => renderReference(KEEPER_SCHEMA),
  'tpm-keys-keys': () => renderReference(TPM_KEYS_SCHEMA),
  selectors: () =>
    table(
      ['selector', 'example', 'meaning'],
      SELECTOR_KINDS.map(({ selector, example, meaning }) => [`\`${selector}\``, `\`${example}\``, meaning]),
    ),
  statuses: () => table(['status', 'means', 'a starting SPIRE agent'], STATUSES),
  'errors-gate': () => entries(GATE_ENTRIES),
  'errors-identity': () => entries(IDENTITY_ENTRIES),
  'errors-push': () => entries(PUSH_ENTRIES),
  'errors-faults': () => entries(FAULT_ENTRIES),
  'errors-node': () => entries(NODE_ENTRIES),
  'error-index': () =>
    table(
      ['code', 'status'],
      Object.entries<CatalogueEntry>(CATALOGUE).map(([code, { status }]) => [
        `[${code}](#${code.toLowerCase()})`,
        `\`${status}\``,
      ]),
    ),
  'failure-reasons': () =>
    table(
      ['`reason` in the log', 'code', 'means', 'next step'],
      Object.entries(FAILURES).map(([reason, { published, meaning, next }]) => [
        `\`${reason}\``,
        `\`${published}\``,
        meaning,
        next,
      ]),
    ),
  'known-strings': () =>
    table(
      ['text', 'means', 'here'],
      KNOWN_STRINGS.map(({ text, means, code }) => [`\`${text}\``, means, code === undefined ? '' : `\`${code}\``]),
    ),
  'towerkeep-exits': exitReference,
  'towerkeep-keys': () => renderReference(TOWERKEEP_SCHEMA),
  'towerkeep-verbs': verbReference,
  findings: findingReference,
  metrics: () =>
    table(
      ['metric', 'kind', 'labels', 'meaning'],
      Object.entries(METRICS).map(([name, { kind, labels, meaning }]) => [
        `\`keylime.${name}\``,
        kind,
        labels.map((label) => `\`${label}\``).join(', '),
        meaning,
      ]),
    ),
}

const STATUSES: readonly (readonly string[])[] = (
  [
    [
      'PERMISSION_DENIED',
      'A verdict on the node: its quote, its identity, its measurements or its policy.',
      'exits at once',
    ],
    [
      'FAILED_PRECONDITION',
      'Not yet: not enrolled, not attested, attested too long ago, or nothing is configured.',
      'tries again',
    ],
    ['UNAVAILABLE', 'Keylime cannot be reached, is overloaded or answers 5xx.', 'tries again'],
    [
      'INTERNAL',
      'Trouble between the plugin and Keylime: certificates, 401 or 403, a malformed answer. Never the fault of the node.',
      'tries again',
    ],
    [
      'INVALID_ARGUMENT',
      'A message of the other half cannot be read; or, from Configure, the configuration has problems.',
      'tries again',
    ],
    ['DEADLINE_EXCEEDED', 'The node did not answer the challenge within 30 s.', 'tries again'],
    ['CANCELLED', 'The caller has gone.', ''],
  ] as const satisfies readonly (readonly [CatalogueStatus, string, string])[]
).map(([status, means, agent]) => [`\`${status}\``, means, agent])

function entries(of: Readonly<Record<string, CatalogueEntry>>): string {
  return Object.entries(of)
    .map(([code, { status, message, cause, next }]) =>
      [
        `### ${code}`,
        '',
        `\`${status}\`: "${message}"`,
        '',
        `- Likely cause: ${cause}`,
        `- Next step: ${next}`,
        '',
      ].join('\n'),
    )
    .join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(row).join('\n')
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
}
