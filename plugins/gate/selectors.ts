/**
 * The selectors of a node, `keylime:<value>` to operators: only what the registrar, the verifier or the TPM said.
 *
 * @module
 */
import type { ProvedPcrs } from './proved-pcrs.ts'
import type { EvidenceKind } from './push-gate.ts'
import { checksNothing, type PolicyStrength } from './strength.ts'

/** SPIRE's limit for a selector value in a MySQL column. @see spire ef8527ec9, pkg/server/datastore/sqlstore/models.go */
const MAX_SELECTOR_BYTES = 255

/** Facts by which a proved and admitted node is known. */
export interface NodeFacts {
  readonly agentId: string
  /** SHA-256 of the registered EK's public key (SPKI DER), hex. */
  readonly ekFingerprint: string
  /** SHA-256 of the CA certificate that the EK certificate chains to, hex; only with `ek_ca_path`. */
  readonly ekCaFingerprint?: string | undefined
  /** The address at which the verifier asks the node. */
  readonly ip: string | null | undefined
  /** The hash algorithm of the quote, proved by its signature. */
  readonly hashAlg: string
  /** SHA-256 of the canonical `tpm_policy`; undefined when the policy cannot be read. */
  readonly policySha256?: string | undefined
  readonly strength: PolicyStrength
  /** Where the evidence came from. */
  readonly evidence: EvidenceKind
  /** Whether the verifier waits for the node, or asks it. */
  readonly mode: 'push' | 'pull'
  /** Those of the proved PCR values that `pcr_selectors` names. */
  readonly pcrs?: ProvedPcrs | undefined
}

/** One kind of selector, for the documentation. */
export interface SelectorKind {
  readonly selector: string
  readonly example: string
  readonly meaning: string
}

/** Every kind of selector; `docs/selectors.md` is printed from it and a test compares it with {@link selectorsFor}. */
export const SELECTOR_KINDS: readonly SelectorKind[] = [
  {
    selector: 'agent_id:<id>',
    example: 'keylime:agent_id:1d0cc2c1c1213b7c9391a275e06046eeda3aa3c86f6a3106ebada2f581dc2d47',
    meaning: 'The Keylime agent ID, proved by the quote.',
  },
  {
    selector: 'ek:sha256:<hex>',
    example: 'keylime:ek:sha256:9f2c...',
    meaning:
      "SHA-256 of the TPM's endorsement public key (SPKI DER), as the registrar holds it: stays when the agent ID changes.",
  },
  {
    selector: 'ek:ca:<hex>',
    example: 'keylime:ek:ca:41ab...',
    meaning: 'SHA-256 of the certificate in `ek_ca_path` that the EK certificate chains to. Only with `ek_ca_path`.',
  },
  {
    selector: 'ip:<address>',
    example: 'keylime:ip:10.10.2.70',
    meaning: 'The address at which the verifier asks the node for quotes. Not in push mode, in which it asks nobody.',
  },
  {
    selector: 'hash_alg:<name>',
    example: 'keylime:hash_alg:sha256',
    meaning: 'The hash algorithm of the quote.',
  },
  {
    selector: 'policy:sha256:<hex>',
    example: 'keylime:policy:sha256:5d7e...',
    meaning: 'SHA-256 of the enrolled `tpm_policy` in canonical form: the mask, then the PCRs in order, values sorted.',
  },
  {
    selector: 'policy:pcr:<n>',
    example: 'keylime:policy:pcr:7',
    meaning:
      'PCR n is compared with allowed values at every quote. A PCR in the mask alone does not count. PCR 15 and above tell nothing of the boot, and any process of the node can reset PCR 23: do not rely on them alone.',
  },
  {
    selector: 'policy:measured-boot-enrolled',
    example: 'keylime:policy:measured-boot-enrolled',
    meaning:
      'A reference state for the boot log is enrolled at the verifier and its PCRs (0-9, 11-15) are in the mask. Whether the verifier compares anything with it, its API does not show.',
  },
  {
    selector: 'policy:measured-boot',
    example: 'keylime:policy:measured-boot',
    meaning:
      "The same, and the operator vouches, by `verifier_measured_boot_policy_name`, that the verifier's measured boot policy compares it. The plugin does not see the boot log.",
  },
  {
    selector: 'policy:runtime',
    example: 'keylime:policy:runtime',
    meaning:
      'A runtime policy for the IMA log is enrolled at the verifier and PCR 10 is in the mask. The plugin sees neither the log nor what the policy excludes.',
  },
  {
    selector: 'policy:none',
    example: 'keylime:policy:none',
    meaning:
      'No policy for boot log or IMA log, and no PCR of the boot (0-9, 11-14) compared with a value that it would not have anyway: the node has a TPM that answers, and nothing is known of what runs on it.',
  },
  {
    selector: 'evidence:<kind>',
    example: 'keylime:evidence:tpm',
    meaning:
      'Where the evidence came from: `tpm`, the agent half quoted by itself, bound to this attestation by a credential that only the registered TPM opens; `keylime-agent`, the Keylime agent quoted.',
  },
  {
    selector: 'mode:<mode>',
    example: 'keylime:mode:push',
    meaning:
      'How the verifier attests the node: `pull`, it asks the Keylime agent; `push`, the Keylime agent reports to it.',
  },
  {
    selector: 'pcr:<bank>:<n>:<hex>',
    example: 'keylime:pcr:sha256:7:65ca...',
    meaning:
      'The value of PCR n in the proved quote, for the PCRs that `pcr_selectors` names. Only with `evidence:tpm`. It says nothing of the policy, and changes with every update of what it measures.',
  },
]

/**
 * Lists the selector values of a node.
 *
 * @param node Facts from the registrar's and the verifier's records and the proved quote.
 * @returns Values without the `keylime:` prefix, each printable ASCII of at most 255 bytes, no two equal.
 */
export function selectorsFor(node: NodeFacts): readonly string[] {
  const { strength } = node
  const values = [
    `agent_id:${node.agentId}`,
    `ek:sha256:${node.ekFingerprint}`,
    ...optional('ek:ca', node.ekCaFingerprint),
    ...optional('ip', node.ip),
    `hash_alg:${node.hashAlg}`,
    ...optional('policy:sha256', node.policySha256),
    ...strength.comparedPcrs.map((pcr) => `policy:pcr:${String(pcr)}`),
    ...(strength.measuredBootEnrolled ? ['policy:measured-boot-enrolled'] : []),
    ...(strength.measuredBoot ? ['policy:measured-boot'] : []),
    ...(strength.runtime ? ['policy:runtime'] : []),
    ...(checksNothing(strength) ? ['policy:none'] : []),
    `evidence:${node.evidence}`,
    `mode:${node.mode}`,
    ...pcrSelectors(node.pcrs),
  ]
  return values.filter(isStorable)
}

function pcrSelectors(pcrs: ProvedPcrs | undefined): readonly string[] {
  if (pcrs === undefined) return []
  return [...pcrs.values].map(([pcr, value]) => `pcr:${pcrs.bank}:${String(pcr)}:${Buffer.from(value).toString('hex')}`)
}

function optional(kind: string, value: string | null | undefined): readonly string[] {
  return value === null || value === undefined || value === '' ? [] : [`${kind}:${value}`]
}

// SPIRE fails the whole attestation when its database refuses one value.
function isStorable(value: string): boolean {
  return value.length <= MAX_SELECTOR_BYTES && /^[\x21-\x7e]+$/.test(value)
}
