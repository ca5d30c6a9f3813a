/**
 * Catalogue entries of evidence from the TPM itself and of push mode.
 *
 * @module
 */

/** The entries, by code. */
export const PUSH_ENTRIES = {
  'KL-EVIDENCE-NOT-ACCEPTED': {
    status: 'FAILED_PRECONDITION',
    message: 'its agent half offers evidence of its keylime agent, and accept_evidence takes {accepted} alone',
    cause:
      'The agent half has `evidence = "keylime-agent"`, which is its default, or is an older one. Such evidence could be relayed from another host.',
    next: 'Set `evidence = "tpm"` in the agent half of the node, or add "keylime-agent" to `accept_evidence`.',
  },
  'KL-PCR-DIFFERS': {
    status: 'PERMISSION_DENIED',
    message: 'pcr {pcr} of its quote is {found}, the enrolled tpm_policy allows {allowed}',
    cause:
      'The node booted something else than the enrolled policy knows, or the policy is older than an update of it. The verifier may not have seen it yet: this is the quote of this attestation.',
    next: 'If the change was yours, enrol the new value (`keylime_tenant -c update`); if not, treat the host as compromised.',
  },
  'KL-GATE-PUSH-OLD': {
    status: 'FAILED_PRECONDITION',
    message: 'is in push mode, and the verifier does not say how its attestation stands',
    cause: 'The verifier is older than Keylime 7.14.2, which has no `attestation_status`.',
    next: 'Update Keylime to 7.14.3 or newer.',
  },
  'KL-GATE-PUSH-FAIL': {
    status: 'PERMISSION_DENIED',
    message: 'keylime reports attestation_status FAIL of this push-mode node',
    cause:
      'A PCR, the boot log or the IMA log did not fit the enrolled policy once. In push mode FAIL stays, also when later evidence fits, until the node is enrolled again.',
    next: "Read the verifier's log for the agent. Once it is mended, `keylime_tenant -c delete` and `-c add --push-model` again; `auto_recover_attestation_failures = True` in verifier.conf lifts FAIL by itself.",
  },
  'KL-GATE-PUSH-EMPTY-POLICY': {
    status: 'FAILED_PRECONDITION',
    message: 'its enrolled policy names nothing to check, and a push-mode verifier never attests such a node',
    cause:
      'The node was enrolled without `tpm_policy`, measured boot policy or runtime policy: no evidence is asked of it.',
    next: 'Enrol it with a policy, such as `keylime_tenant -c update --tpm_policy \'{"7": ["<value>"]}\'`.',
  },
  'KL-PUSH-EVIDENCE-REJECTED': {
    status: 'PERMISSION_DENIED',
    message: 'the evidence behind the verdict of the verifier does not prove it: {reason}',
    cause:
      'The quote that the verifier judged was not made by the registered TPM, or its record was written by hand: verdict and TPM do not belong together.',
    next: 'Read `GET /v3.0/agents/<agent id>/attestations/latest` of the verifier. If the node registered again, enrol it again; else find out who writes to its database.',
  },
  'KL-PUSH-EVIDENCE-PENDING': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier shows no judged evidence of it yet: {reason}',
    cause: 'The node was enrolled seconds ago, or its attestation is under way.',
    next: 'Wait one quote interval; `wait_for_attestation = "20s"` lets the plugin do so.',
  },
} as const
