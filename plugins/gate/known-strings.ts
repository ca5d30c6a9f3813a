/**
 * Error texts that operators of Keylime and SPIRE meet, and what they mean: for log hints and `docs/errors.md`.
 *
 * @module
 */
import type { ErrorCode } from './catalogue/catalogue.ts'

/** One text with its meaning. */
export interface KnownString {
  /** The text as it is met, for the documentation. */
  readonly text: string
  readonly pattern: RegExp
  readonly means: string
  /** The code under which it reaches an operator here; absent when it comes from a part we do not talk to. */
  readonly code?: ErrorCode
}

/** The texts, the more special first. */
export const KNOWN_STRINGS: readonly KnownString[] = [
  {
    text: 'remote error: tls: unknown certificate authority',
    pattern: /unknown certificate authority|tlsv1 alert unknown ca|alert number 48/i,
    means: 'the service does not trust the issuer of our client certificate: add it to its `trusted_client_ca`',
    code: 'KL-KEYLIME-REFUSED-US',
  },
  {
    text: 'unable to get issuer certificate',
    pattern: /unable to get (local )?issuer cert|certificate validation failed|UNABLE_TO_GET_ISSUER_CERT/i,
    means: 'the CA file lacks an issuer of the chain that the service presents',
    code: 'KL-KEYLIME-UNTRUSTED',
  },
  {
    text: 'unable to verify the first certificate',
    pattern: /unable to verify the first certificate|UNABLE_TO_VERIFY_LEAF_SIGNATURE/i,
    means: 'the service sends its certificate without the intermediate, and the CA file holds only the root',
    code: 'KL-KEYLIME-UNTRUSTED',
  },
  {
    text: 'Keylime agent does not recognize mTLS certificate form tenant',
    pattern: /does not recognize mTLS certificate/i,
    means: "the Keylime agent's `trusted_client_ca` does not cover the caller",
  },
  {
    text: 'No required SSL certificate was sent',
    pattern: /no required SSL certificate was sent/i,
    means: 'a proxy (nginx) in front demands a client certificate and got none',
    code: 'KL-KEYLIME-REFUSED-US',
  },
  {
    text: 'Action read_agent requires authentication',
    pattern: /action \w+ requires authentication/i,
    means: 'Keylime 7.14 and newer treats the caller as anonymous: no client certificate, or one without a common name',
    code: 'KL-KEYLIME-REFUSED-US',
  },
  {
    text: 'agent id not found',
    pattern: /agent id not found|agent with id .* not found/i,
    means: 'the node is not enrolled (verifier) or not registered (registrar), or the database of the service failed',
    code: 'KL-AGENT-UNKNOWN',
  },
  {
    text: 'Agent of uuid ... already exists',
    pattern: /agent of uuid \S+ already exists/i,
    means: 'the enrolment was made before; compare the policies',
  },
  {
    text: "KeyError: 'metadata'",
    pattern: /KeyError: '\w+'/,
    means: 'an enrolment request lacks a field which that API version demands',
  },
  {
    text: 'binascii.Error: Incorrect padding',
    pattern: /binascii\.Error|incorrect padding/i,
    means: 'an enrolment sent text where base64 or null belongs; the verifier cannot poll such an agent',
  },
  {
    text: 'AllAPIVersionsRejected("2.1, 2.2, 2.3, 2.4, 2.5")',
    pattern: /AllAPIVersionsRejected/,
    means: 'plain HTTP was spoken to an HTTPS port',
  },
  {
    text: 'ak_tpm not found in registrar response',
    pattern: /ak_tpm not found/i,
    means: 'the registrar calls the attestation key `aik_tpm`',
  },
  {
    text: 'ValueError: malformed node or string',
    pattern: /malformed node or string/i,
    means: "a CA option of Keylime's configuration needs list syntax, as in `['ca.crt']`",
  },
  {
    text: 'Agent was not reachable for quote in 5 tries, setting state to FAILED',
    pattern: /not reachable for quote in \d+ tries/i,
    means: "the node was away for longer than the verifier's retries: `max_retries`, `retry_interval`",
    code: 'KL-GATE-UNREACHABLE',
  },
  {
    text: 'PCR #4 in quote ... not found in tpm_policy, skipping',
    pattern: /PCR #?\d+ in quote .*not found in tpm_policy/i,
    means: 'no error to Keylime: that PCR is in the mask without allowed values, so nothing checks it',
    code: 'KL-POLICY-WEAK',
  },
  {
    text: 'Misformatted UUID: auto',
    pattern: /misformatted UUID/i,
    means: 'the Keylime agent makes a new random ID at every start: set `uuid = "hash_ek"`',
    code: 'KL-AGENT-UNKNOWN',
  },
  {
    text: 'could not find node attestor type',
    pattern: /could not find node attestor type/i,
    means: 'the NodeAttestor blocks of SPIRE server and agent have different names',
  },
  {
    text: 'trust_bundle_path or trust_bundle_url must be configured',
    pattern: /trust_bundle_path or trust_bundle_url must be configured/i,
    means: "SPIRE's agent.conf names no bundle to know the SPIRE server by at first start",
  },
  {
    text: 'Failed to set up mount namespacing: /run/spire: No such file or directory',
    pattern: /failed to set up mount namespacing/i,
    means: 'a folder that the systemd unit needs is gone after boot: it lacks a tmpfiles.d entry or RuntimeDirectory',
  },
  {
    text: 'subject alternate name ... not allowed by this role',
    pattern: /subject alternate name .*not allowed by this role/i,
    means: 'the certificate authority refuses a name: short host names stand in `alt_names`',
  },
  {
    text: 'SecureMount',
    pattern: /SecureMount/,
    means:
      'the Keylime agent may not mount its tmpfs: CAP_SYS_ADMIN is missing, or the unit sets `ProtectSystem=strict`',
  },
  {
    text: 'connect: connection refused',
    pattern: /connection refused|ECONNREFUSED/i,
    means: 'nothing listens on that address and port',
    code: 'KL-KEYLIME-UNREACHABLE',
  },
]

/**
 * Finds what a text means.
 *
 * @param text An error message, of any length.
 * @returns The explanation, or undefined.
 */
export function explain(text: string): KnownString | undefined {
  const head = text.slice(0, 2_000)
  return KNOWN_STRINGS.find(({ pattern }) => pattern.test(head))
}
