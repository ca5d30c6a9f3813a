/**
 * The table of every way a call to Keylime can fail: its name, its codes, its meaning and the next step.
 *
 * @module
 */
import type { KeylimeErrorCode } from './errors.ts'

/** The code of the project's error catalogue under which a failure is met; `gate/catalogue` has their entries. */
export type PublishedCode =
  | 'KL-KEYLIME-UNREACHABLE'
  | 'KL-KEYLIME-TIMEOUT'
  | 'KL-KEYLIME-UNAVAILABLE'
  | 'KL-KEYLIME-REFUSED-US'
  | 'KL-KEYLIME-UNTRUSTED'
  | 'KL-KEYLIME-BAD-ANSWER'
  | 'KL-AGENT-UNKNOWN'
  | 'KL-API-UNSUPPORTED'
  | 'KL-BUSY'
  | 'KL-CANCELLED'

/** One way of failing: the row from which code, documentation and messages come. */
export interface FailureKind {
  /** What the code switches on. */
  readonly code: KeylimeErrorCode
  /** What an operator meets. */
  readonly published: PublishedCode
  /** What it means, in one sentence. */
  readonly meaning: string
  /** What to do next, in one sentence. */
  readonly next: string
}

const kind = (code: KeylimeErrorCode, published: PublishedCode, meaning: string, next: string): FailureKind => ({
  code,
  published,
  meaning,
  next,
})

/** Every way of failing; the name is the log field `reason` and never changes. */
export const FAILURES = {
  refused: kind(
    'KEYLIME_UNREACHABLE',
    'KL-KEYLIME-UNREACHABLE',
    'nothing listens on that address and port',
    'start the service, or correct host and port',
  ),
  dns: kind(
    'KEYLIME_UNREACHABLE',
    'KL-KEYLIME-UNREACHABLE',
    'the host name does not resolve',
    'correct the host name, or the resolver of this machine',
  ),
  'no-route': kind(
    'KEYLIME_UNREACHABLE',
    'KL-KEYLIME-UNREACHABLE',
    'the network has no way to that address',
    'check route and firewall',
  ),
  reset: kind(
    'KEYLIME_UNREACHABLE',
    'KL-KEYLIME-UNREACHABLE',
    'the connection was cut before an answer came',
    "look at the service's own log; a restart or a proxy without a living backend does this",
  ),
  timeout: kind(
    'KEYLIME_TIMEOUT',
    'KL-KEYLIME-TIMEOUT',
    'no answer came within request_timeout',
    'look at the load of the service, or raise request_timeout',
  ),
  'queue-full': kind(
    'KEYLIME_UNAVAILABLE',
    'KL-BUSY',
    'too many requests already wait for this service',
    'look at the load of the service',
  ),
  cancelled: kind('KEYLIME_CANCELLED', 'KL-CANCELLED', 'the caller went away', 'nothing'),
  'tls-not-spoken': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    'the port answers, but not with TLS',
    'use the TLS port of the service, or switch TLS on there',
  ),
  'tls-expected': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    'the port wants TLS and we spoke plain HTTP',
    'switch TLS on here',
  ),
  'tls-version': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    'no common TLS version or cipher; 1.2 and 1.3 are spoken',
    'update the TLS settings of the service',
  ),
  'tls-other': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    'the TLS handshake failed in another way',
    "look at the service's own log",
  ),
  'peer-name': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    "the service's certificate is for other names",
    'set the server name to one of those names, or reissue the certificate',
  ),
  'peer-issuer': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    "the issuer of the service's certificate is not in our CA file",
    'add that issuer to the CA file',
  ),
  'peer-leaf-only': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    'the service sends its certificate without the intermediate above it',
    'let it send the chain, or add the intermediate to the CA file',
  ),
  'peer-reissued-ca': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    'our CA file has an issuer of that name with another key: one of the two is a re-issue',
    'replace the CA file by the one in force',
  ),
  'peer-expired': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    "a certificate of the service's chain has expired",
    'renew it',
  ),
  'peer-not-yet-valid': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    "a certificate of the service's chain is not valid yet",
    'compare the clocks of the two machines',
  ),
  'peer-certificate': kind(
    'KEYLIME_PEER_UNTRUSTED',
    'KL-KEYLIME-UNTRUSTED',
    "the service's certificate does not verify in another way",
    'reissue it',
  ),
  'client-issuer': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'the service does not trust the issuer of our client certificate',
    "add that issuer to the service's trusted client CAs, or configure another certificate",
  ),
  'client-missing': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'the service demands a client certificate and got none',
    'configure certificate and key',
  ),
  'client-expired': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'the service says our client certificate has expired',
    'renew it, and compare the clocks',
  ),
  'client-usage': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'our client certificate is not made for client authentication',
    'issue one with extended key usage clientAuth',
  ),
  'client-certificate': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'the service does not accept our client certificate',
    "look at the service's own log",
  ),
  'client-unauthorized': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'the service answers 401',
    'look for a proxy that adds or demands credentials',
  ),
  'client-forbidden': kind(
    'KEYLIME_CLIENT_REFUSED',
    'KL-KEYLIME-REFUSED-US',
    'the service answers 403: it does not know us as an administrator',
    'use a client certificate with a common name from a CA in its trusted_client_ca',
  ),
  conflict: kind(
    'KEYLIME_CONFLICT',
    'KL-KEYLIME-BAD-ANSWER',
    'the service answers 409 to a change: what it names is there already, is missing, or is in use',
    'read what is there; remove it, or choose another name',
  ),
  'agent-unknown': kind(
    'KEYLIME_AGENT_UNKNOWN',
    'KL-AGENT-UNKNOWN',
    'the service answers 404 for this agent',
    'registrar: start the keylime agent of the node; verifier: enrol it; or look for a database error in the log of that service',
  ),
  'api-version': kind(
    'KEYLIME_API_UNSUPPORTED',
    'KL-API-UNSUPPORTED',
    'no API version in common, or one too old for the call',
    'update Keylime, or the plugin',
  ),
  'server-error': kind(
    'KEYLIME_UNAVAILABLE',
    'KL-KEYLIME-UNAVAILABLE',
    'the service answers 5xx',
    "look at the service's own log",
  ),
  'proxy-error': kind(
    'KEYLIME_UNAVAILABLE',
    'KL-KEYLIME-UNAVAILABLE',
    'a proxy in front answers 5xx: the service behind it is away or slow',
    'look at the service behind the proxy',
  ),
  throttled: kind(
    'KEYLIME_UNAVAILABLE',
    'KL-KEYLIME-UNAVAILABLE',
    'the service or a proxy answers 429',
    'raise the limit there',
  ),
  redirect: kind(
    'KEYLIME_BAD_RESPONSE',
    'KL-KEYLIME-BAD-ANSWER',
    'the answer is a redirect, which is never followed',
    'name the address it points to',
  ),
  'answer-status': kind(
    'KEYLIME_BAD_RESPONSE',
    'KL-KEYLIME-BAD-ANSWER',
    'the service answers with a status that this call does not have',
    'check that host and port are the right service',
  ),
  'answer-too-large': kind(
    'KEYLIME_BAD_RESPONSE',
    'KL-KEYLIME-BAD-ANSWER',
    'the answer is larger than the bound',
    'check that host and port are the right service',
  ),
  'answer-not-json': kind(
    'KEYLIME_BAD_RESPONSE',
    'KL-KEYLIME-BAD-ANSWER',
    'the answer is not the JSON Keylime sends',
    'check that host and port are the right service',
  ),
  'answer-shape': kind(
    'KEYLIME_BAD_RESPONSE',
    'KL-KEYLIME-BAD-ANSWER',
    'a field of the answer is missing or of another kind',
    'compare the versions of Keylime and the plugin',
  ),
  'answer-other-agent': kind(
    'KEYLIME_BAD_RESPONSE',
    'KL-KEYLIME-BAD-ANSWER',
    'the record returned is of another agent',
    "look at the service's database: it compares IDs loosely",
  ),
} as const satisfies Readonly<Record<string, FailureKind>>
