/**
 * Catalogue entries about who the node is: its agent ID, its TPM's endorsement key, its quote.
 *
 * @module
 */

/** The entries of identity and local proof. */
export const IDENTITY_ENTRIES = {
  'KL-ID-DEFAULT-UUID': {
    status: 'PERMISSION_DENIED',
    message: 'this is the ID that every unconfigured keylime agent claims, so it names no host',
    cause: '`uuid` is missing in the agent.conf that the Keylime agent really reads.',
    next: 'Set `uuid = "hash_ek"` on the node, restart its Keylime agent and enrol the new ID; or set `allow_default_uuid = true` for a single host.',
  },
  'KL-ID-IN-USE': {
    status: 'PERMISSION_DENIED',
    message:
      'its ID is in use by the TPM with EK {admitted_ek} (at {admitted_at}); this host has EK {claimed_ek} (at {claimed_at})',
    cause: 'Two hosts claim one agent ID: the default UUID, a copied agent.conf, or a replaced TPM or mainboard.',
    next: 'Give the second host an ID of its own (`uuid = "hash_ek"`). If a TPM was replaced on purpose, evict the old node (`spire-server agent evict`) and let the new one attest.',
  },
  'KL-ID-SPELLING': {
    status: 'PERMISSION_DENIED',
    message: 'its TPM already holds the agent ID {admitted_id}, which differs in upper and lower case alone',
    cause:
      'The `uuid` in the agent.conf was spelt anew. Some databases of Keylime and SPIRE take both for one ID, SPIFFE takes them for two.',
    next: 'Go back to the first spelling, or evict the node of that one (`spire-server agent evict`) and let the new one attest.',
  },
  'KL-ID-UNDECIDED': {
    status: 'UNAVAILABLE',
    message: '{held}; whether SPIRE still knows that node cannot be said now',
    cause: "SPIRE's agent store did not answer within 2 s: the SPIRE server or its database is overloaded or stopping.",
    next: 'Nothing, when it passes: SPIRE agents try again. Else look at the SPIRE server and its database; then see KL-ID-IN-USE.',
  },
  'KL-ID-NOT-EK-HASH': {
    status: 'PERMISSION_DENIED',
    message: "its ID is not the hash of its TPM's endorsement key, which would be {expected}",
    cause: '`require_ek_uuid` is set and the Keylime agent uses another `uuid`.',
    next: 'Set `uuid = "hash_ek"` in the agent.conf of the node and enrol the new ID, or turn `require_ek_uuid` off.',
  },
  'KL-EK-NO-CERTIFICATE': {
    status: 'PERMISSION_DENIED',
    message: 'the registrar holds no EK certificate of it, and ek_ca_path is set',
    cause: 'The TPM has no certificate in its NV memory, or the Keylime agent could not read it.',
    next: "Check the Keylime agent's log at start for the EK certificate; a TPM without one cannot pass `ek_ca_path`.",
  },
  'KL-EK-UNTRUSTED': {
    status: 'PERMISSION_DENIED',
    message: 'its EK certificate is not accepted: {reason}',
    cause: 'The certificate is not signed by the CA that it names, or it is for another purpose or another key.',
    next: 'Compare it with the one in the TPM of the node (`tpm2_getekcertificate`). If they are equal, do not trust the host.',
  },
  'KL-EK-UNREADABLE': {
    status: 'FAILED_PRECONDITION',
    message: 'its EK certificate cannot be read: {reason}',
    cause:
      'The maker encoded it in a way that this plugin does not know, or the registrar holds something else in its place.',
    next: 'Compare it with the one in the TPM of the node (`tpm2_getekcertificate`). If they are equal, report its form; until then such nodes need a configuration without `ek_ca_path`.',
  },
  'KL-EK-ISSUER-UNKNOWN': {
    status: 'FAILED_PRECONDITION',
    message: 'who made its TPM cannot be told: {reason}',
    cause:
      "The maker's CA certificate, often a new intermediate, is not in `ek_ca_path`; the TPM's chain lies in the TPM itself (CAs made on the die, as of some firmware TPMs), which `ek_ca_path` cannot check; or it is a TPM in software.",
    next: "Add the maker's certificate that the message names to `ek_ca_path`. Where makers give each TPM a CA of its own, do without `ek_ca_path` and bind nodes by `require_ek_uuid` and your own list of IDs.",
  },
  'KL-EK-DATES': {
    status: 'FAILED_PRECONDITION',
    message: 'its EK certificate cannot be accepted at this time: {reason}',
    cause:
      '`require_ek_dates` is set and the EK certificate or the CA certificate above it is out of date; the clock of the SPIRE server is wrong; or the dates of the certificate are none.',
    next: "Check the clock of the SPIRE server. Add the maker's newer CA certificate to `ek_ca_path`. EK certificates are not renewed: if theirs is over, take `require_ek_dates` out.",
  },
  'KL-QUOTE-REJECTED': {
    status: 'PERMISSION_DENIED',
    message: 'its identity quote is rejected',
    cause:
      'The quote was not made by the TPM that the registrar holds for this ID, is replayed, or was altered on the way.',
    next: 'See which check failed. If the host was reinstalled, let its Keylime agent register again; else find out which machine answered.',
  },
  'KL-QUOTE-VERIFIER-REJECTED': {
    status: 'PERMISSION_DENIED',
    message: 'the keylime verifier rejects its identity quote',
    cause:
      'The verifier holds another attestation key than the registrar: the Keylime agent registered again after it was enrolled, as after a cleared TPM or a lost agent data file.',
    next: 'Enrol the node anew (`keylime_tenant -c delete`, then `-c add`); the reason is in the log of the SPIRE server. Only if it stays, look at the verifier and at who else registers under this ID.',
  },
  'KL-MESSAGE-MALFORMED': {
    status: 'INVALID_ARGUMENT',
    message: 'a message of the agent half cannot be read',
    cause: 'Another program or version speaks on the other side, or the message was cut.',
    next: 'Use `keylime-attestor-agent` or the Go agent plugin under the name `keylime` on both sides.',
  },
} as const
