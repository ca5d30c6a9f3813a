/**
 * Catalogue entries of faults: Keylime, the network, certificates between us, our own limits. Never a verdict on a node.
 *
 * @module
 */

/** The entries of faults; none of them makes a SPIRE agent exit at once. */
export const FAULT_ENTRIES = {
  'KL-AGENT-UNKNOWN': {
    status: 'FAILED_PRECONDITION',
    message: 'keylime does not know this agent',
    cause:
      'The node has not registered (registrar) or is not enrolled (verifier). Keylime also answers 404 when its database fails.',
    next: 'Registrar: start the Keylime agent of the node. Verifier: `keylime_tenant -c add -u <agent id>`. If both know it, read their logs.',
  },
  'KL-KEYLIME-UNREACHABLE': {
    status: 'UNAVAILABLE',
    message: 'keylime cannot be reached',
    cause: 'Connection refused or reset, no route, or a name that does not resolve.',
    next: 'Check host and port in the configuration, that the service runs, and the firewall between.',
  },
  'KL-KEYLIME-TIMEOUT': {
    status: 'UNAVAILABLE',
    message: 'keylime did not answer in time',
    cause: 'The service hangs or is overloaded, or packets are dropped.',
    next: 'Look at its load and log; `request_timeout` bounds one request.',
  },
  'KL-KEYLIME-UNAVAILABLE': {
    status: 'UNAVAILABLE',
    message: 'keylime answers that it cannot serve now',
    cause: 'An HTTP status 429 or 5xx of the service or of a proxy in front of it.',
    next: 'Read the log of the service named; a 502 or 504 in HTML comes from the proxy.',
  },
  'KL-KEYLIME-REFUSED-US': {
    status: 'INTERNAL',
    message: 'keylime refuses the certificate of this plugin',
    cause:
      'HTTP 401 or 403, or a TLS alert: the issuer of our client certificate is not in `trusted_client_ca`, or no certificate was sent.',
    next: "Compare the issuer in the SPIRE server's log with `trusted_client_ca` of the service; set `keylime_tls_cert_file` and `keylime_tls_key_file`.",
  },
  'KL-KEYLIME-UNTRUSTED': {
    status: 'INTERNAL',
    message: 'the certificate of keylime is not trusted',
    cause: 'It is expired, names another host, or its issuer is missing in `keylime_tls_ca_cert_file`.',
    next: "The SPIRE server's log names what was presented and what is expected. Add the issuer, or set `keylime_verifier_server_name` or `keylime_registrar_server_name`.",
  },
  'KL-API-UNSUPPORTED': {
    status: 'FAILED_PRECONDITION',
    message: 'keylime offers no API version this plugin speaks',
    cause: 'Verifier or registrar is older than Keylime 7.12, or offers only version 3.',
    next: 'Use Keylime 7.12.2, 7.13.1 or newer.',
  },
  'KL-KEYLIME-BAD-ANSWER': {
    status: 'INTERNAL',
    message: 'an answer of keylime breaks its contract',
    cause: 'The registrar holds a record of this node that is not usable, or something else answers on that port.',
    next: 'If it is one node, let its Keylime agent register again. If it is all of them, check that host and port are those of the service named, and its version.',
  },
  'KL-OPINION-SELF-CHECK': {
    status: 'INTERNAL',
    message: 'the verifier also accepts this quote with another nonce, so its opinion is worth nothing',
    cause:
      'Something is left of an earlier enrolment of the node, a proxy in front answers from its memory, or the verifier does not evaluate quotes: a working one refuses a nonce that is not in the quote.',
    next: 'Enrol the node anew (`keylime_tenant -c delete`, then `-c add`) and see that no proxy caches answers. If it stays, compare with another node and another verifier; only a verifier that does it for every node is to be reinstalled, and its host looked at.',
  },
  'KL-BUSY': {
    status: 'UNAVAILABLE',
    message: 'more than {limit} attestations are waiting, try again',
    cause: 'More nodes attest at once than can be held, or Keylime is slow.',
    next: 'Nothing, when it passes: SPIRE agents try again. Else look at the load of verifier and registrar.',
  },
  'KL-DEADLINE': {
    status: 'DEADLINE_EXCEEDED',
    message: 'the attestation took longer than {limit_s} s',
    cause: 'The agent half did not answer the challenge in time, or the node has a very slow TPM.',
    next: 'Look at the Keylime agent of the node.',
  },
  'KL-CANCELLED': {
    status: 'CANCELLED',
    message: 'the caller has gone',
    cause: 'The SPIRE agent closed its connection, or the SPIRE server is stopping.',
    next: 'Nothing.',
  },
  'KL-INTERNAL': {
    status: 'INTERNAL',
    message: 'internal error',
    cause: 'A fault of this plugin.',
    next: 'Report it with the line of the log of the SPIRE server.',
  },
} as const
