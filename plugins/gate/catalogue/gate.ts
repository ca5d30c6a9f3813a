/**
 * Catalogue entries of the gate: what the verifier says of a node, and how well its policy checks it.
 *
 * @module
 */

/** The gate's entries; design section 5 decides each status. */
export const GATE_ENTRIES = {
  'KL-GATE-PUSH-MODE': {
    status: 'FAILED_PRECONDITION',
    message: 'is in push mode, and its agent half offers no evidence from the TPM: set evidence = "tpm" there',
    cause:
      'The verifier runs with `mode = push`, or the node was enrolled for it. A Keylime agent in push mode opens no port and makes no identity quote, so one that came is relayed from somewhere.',
    next: 'Set `evidence = "tpm"` in the agent half of the node; or run `keylime_agent` (pull mode) there and enrol it at a verifier with `mode = pull`.',
  },
  'KL-GATE-FAILED': {
    status: 'PERMISSION_DENIED',
    message: 'keylime could not verify it: state 7 FAILED, last event {event}',
    cause:
      'The Keylime agent answered the verifier with an error, or an answer could not be evaluated. Polling has stopped.',
    next: "Read the verifier's log for that event, cure it, then `keylime_tenant -c reactivate -u <agent id>`.",
  },
  'KL-GATE-UNREACHABLE': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier gave up reaching it: state 7 FAILED, last event {event}',
    cause:
      'The node was down or unreachable from the verifier for longer than its retries (62 s by default), as after a power cut or a slow boot.',
    next: 'Check that port 9002 of the node answers the verifier, then `keylime_tenant -c reactivate -u <agent id>`. To outlive a boot, raise `max_retries` in verifier.conf.',
  },
  'KL-GATE-INVALID-QUOTE': {
    status: 'PERMISSION_DENIED',
    message: 'keylime refuses its measurements: state 9 INVALID_QUOTE, last event {event}',
    cause:
      'A PCR, the boot log or the IMA log differs from the enrolled policy: the node was changed, or the policy is older than an update of it.',
    next: "Find the PCR or file in the verifier's log. If the change was yours, enrol the new policy (`keylime_tenant -c update`); if not, treat the host as compromised.",
  },
  'KL-GATE-STOPPED': {
    status: 'PERMISSION_DENIED',
    message: 'an operator stopped its attestation: state 10 TENANT_FAILED',
    cause:
      'Somebody called `PUT /agents/<id>/stop`, or `keylime_tenant -c add` did, because its own check of the node failed.',
    next: 'State 10 is not left by reactivate: delete the agent at the verifier and add it again.',
  },
  'KL-GATE-PENDING': {
    status: 'FAILED_PRECONDITION',
    message: 'is not attested yet: state {state}',
    cause: 'The node was enrolled seconds ago, the verifier was restarted, or the node is being removed.',
    next: 'Wait one quote interval; `wait_for_attestation = "20s"` lets the plugin do so. If it stays, see whether the verifier reaches port 9002 of the node.',
  },
  'KL-GATE-UNKNOWN-STATE': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier reports a state this plugin does not know: {state}',
    cause: 'The verifier is newer than this plugin, or its database row is damaged.',
    next: 'Compare the versions; nothing is admitted on a state that is not understood.',
  },
  'KL-GATE-COUNT-ZERO': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier has not verified a single quote of it (attestation_count {count})',
    cause: 'The node was just enrolled, or the verifier cannot reach it. Its state already reads like success.',
    next: 'Check that port 9002 of the node answers the verifier and that `contact_ip` in its agent.conf is right.',
  },
  'KL-GATE-NEVER': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier names no time of a successful attestation',
    cause: 'No quote was verified yet, or a proxy or a very old verifier leaves the field out.',
    next: 'Wait one quote interval; then ask `keylime_tenant -c status -u <agent id>` for `last_successful_attestation`.',
  },
  'KL-GATE-STALE': {
    status: 'FAILED_PRECONDITION',
    message: 'last successful attestation is {age_s} s old, the limit is {limit_s} s',
    cause:
      'The verifier no longer reaches the node, or nobody polls it: its state was set in the database, or the verifier hangs.',
    next: "Look for the agent in the verifier's log. If it is not polled, `keylime_tenant -c reactivate -u <agent id>`; a longer quote interval needs a longer `max_attestation_age`.",
  },
  'KL-GATE-FUTURE': {
    status: 'FAILED_PRECONDITION',
    message: "last successful attestation lies {ahead_s} s in the future of the verifier's own answer",
    cause: "The verifier's clock was set back, or a proxy in front of it answers with a clock of its own.",
    next: 'Compare the clocks of verifier and proxy (`timedatectl`), then wait for the next attestation.',
  },
  'KL-GATE-NO-CLOCK': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier answered without a Date header, so freshness cannot be judged',
    cause: 'A proxy in front of the verifier removes the `Date` header.',
    next: 'Let the header pass; Keylime always sends it.',
  },
  'KL-GATE-STATUS-FAIL': {
    status: 'PERMISSION_DENIED',
    message: 'keylime reports attestation_status FAIL',
    cause: "The verifier's last evaluation of the node failed.",
    next: "Read the verifier's log for the agent; see KL-GATE-INVALID-QUOTE.",
  },
  'KL-GATE-STATUS-PENDING': {
    status: 'FAILED_PRECONDITION',
    message: 'keylime reports attestation_status PENDING',
    cause: 'The node was enrolled seconds ago, or the verifier was restarted.',
    next: 'Wait one quote interval; see KL-GATE-PENDING.',
  },
  'KL-GATE-STATUS-TIMEOUT': {
    status: 'FAILED_PRECONDITION',
    message: 'keylime reports attestation_status TIMEOUT',
    cause: 'The verifier has not heard from the node for longer than its limit.',
    next: 'Check the node and the network between it and the verifier.',
  },
  'KL-GATE-STATUS-UNKNOWN': {
    status: 'FAILED_PRECONDITION',
    message: 'the verifier reports an attestation_status this plugin does not know: {value}',
    cause: 'The verifier is newer than this plugin.',
    next: 'Compare the versions; nothing is admitted on a status that is not understood.',
  },
  'KL-GATE-HASH-ALG': {
    status: 'PERMISSION_DENIED',
    message: 'its quote uses {hash_alg}, the enrolment accepts {accepted}',
    cause: '`tpm_hash_alg` of the Keylime agent is not among the `accept_tpm_hash_algs` it is enrolled with.',
    next: 'Set `tpm_hash_alg` in the agent.conf of the node, or enrol it again with that algorithm accepted.',
  },
  'KL-POLICY-WEAK': {
    status: 'PERMISSION_DENIED',
    message: 'its enrolled policy does not check {missing}; it is: {strength}',
    cause:
      'A PCR in the mask without allowed values is only quoted, never compared; a PCR that may have the value of one nobody extended (zeros or ones), or is not of the boot, tells nothing; a runtime policy counts only with PCR 10 (0x400) in the mask.',
    next: 'Enrol the node with allowed values or policies for what `require_policy` names, or take it out of `require_policy`.',
  },
  'KL-POLICY-UNREADABLE': {
    status: 'FAILED_PRECONDITION',
    message: 'its enrolled tpm_policy cannot be read, so nothing of it counts as checked: {reason}',
    cause: 'The verifier is newer than this plugin, or the policy was enrolled by another tool than `keylime_tenant`.',
    next: 'Look at `tpm_policy` in `keylime_tenant -c status -u <agent id>`. Enrol it again (`-c update`), or update this plugin.',
  },
  'KL-POLICY-DIFFERS': {
    status: 'PERMISSION_DENIED',
    message: 'its enrolled tpm_policy is {enrolled}, pinned is {pinned}',
    cause: 'The node was enrolled again with another policy, or the pinned `tpm_policy` is older than the enrolment.',
    next: 'Find out who enrolled it. Then enrol the pinned policy, or change `tpm_policy` in the configuration.',
  },
} as const
