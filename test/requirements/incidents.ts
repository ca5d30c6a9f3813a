/**
 * The operator's recorded incidents: each must be prevented, or found and named.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in order of alias. */
export const INCIDENTS: readonly Requirement[] = [
  {
    id: 'incident:policy:enforced-nowhere',
    alias: 'P01',
    promise: `"Secure Boot + boot loader + IMA hardening" is enforced nowhere though status says PASS, 'has_runtime_policy=1'`,
  },
  { id: 'incident:gate:never-verified', alias: 'P02', promise: 'Fork issues SVIDs to hosts never verified' },
  { id: 'incident:recovery:frozen-at-pass', alias: 'P03', promise: 'Recovery freezes hosts at "PASS"' },
  { id: 'incident:enrolment:all-as-one', alias: 'P04', promise: 'Auto-enrolment registers every host as auth' },
  {
    id: 'incident:power-cut:all-failed',
    alias: 'P05',
    promise: 'Power cut: all agents FAILED, then SPIRE, OpenBao, renewal',
  },
  { id: 'incident:agent-id:shared-and-changing', alias: 'P06', promise: 'Two hosts one UUID; UUID changes later' },
  {
    id: 'incident:tls:unknown-authority',
    alias: 'P07',
    promise: '180 min on "remote error: unknown certificate authority"',
  },
  { id: 'incident:certificate:everybody-administrator', alias: 'P08', promise: 'Any host can administer Keylime' },
  {
    id: 'incident:relay:identity-of-another',
    alias: 'P09',
    promise: "A compromised host can fetch another host's identity",
  },
  { id: 'incident:certificate:expired-silently', alias: 'P10', promise: 'Agent cert expired, 12 h silent' },
  {
    id: 'incident:tls:fails-in-agent-alone',
    alias: 'P11',
    promise: 'TLS works in curl, fails in agent; 40 tests, "environmental"',
  },
  { id: 'incident:tls:verification-off', alias: 'P12', promise: 'InsecureSkipVerify in production until 02-12' },
  { id: 'incident:plugin:expired-client-pair', alias: 'P13', promise: 'Plugin keeps an expired client cert' },
  { id: 'incident:boot:circle', alias: 'P14', promise: 'Circular boot: renewal→OpenBao→SVID→Keylime→certs' },
  { id: 'incident:bundle:stale', alias: 'P15', promise: 'Agents cannot re-attest after outage: stale trust bundle' },
  { id: 'incident:checksum:drift', alias: 'P16', promise: 'Checksum drift, unknown provenance' },
  {
    id: 'incident:key:form-changed',
    alias: 'P17',
    promise: 'PKCS#1/SEC1 vs PKCS#8, then key path changed and SPIRE agents died',
  },
  {
    id: 'incident:api:versions',
    alias: 'P18',
    promise: `v2.2 vs v2.5, missing 'metadata', 'V:"2.5"' → base64 error, 'ak_tpm' vs 'aik_tpm', 'rsa' vs 'rsa2048', 409 on re-add`,
  },
  { id: 'incident:entries:orphaned', alias: 'P19', promise: '8 orphaned workload entries; all had to be recreated' },
  { id: 'incident:key:unreadable', alias: 'P20', promise: 'SPIRE cannot read the key' },
  { id: 'incident:renewal:undoes-fixes', alias: 'P21', promise: 'Renewal undoes fixes' },
  { id: 'incident:registrar:plain-http', alias: 'P22', promise: 'Agent → registrar over HTTP' },
  {
    id: 'incident:gc:misses-most',
    alias: 'P23',
    promise: 'GC misses most rubbish',
  },
  {
    id: 'incident:health-check:lies',
    alias: 'P24',
    promise: 'Health check lies',
  },
  {
    id: 'incident:tamper:identity-kept',
    alias: 'P25',
    promise: 'Failed host keeps its identity up to 1 h (agent SVID) + 1 h (workload SVID)',
  },
  {
    id: 'incident:update:by-hand',
    alias: 'P26',
    promise: 'Kernel/GRUB update → delete + add by hand',
  },
  {
    id: 'incident:secrets:long-lived-tokens',
    alias: 'P27',
    promise: 'Long-lived admin tokens in files; SKIP_VERIFY; StrictHostKeyChecking=no; 11 root SSH flows',
  },
  {
    id: 'incident:docs:disagree',
    alias: 'P28',
    promise: 'Docs disagree (ports, paths, fictional keys, 3 trust bundle names)',
  },
  {
    id: 'incident:keylime-conf:traps',
    alias: 'P29',
    promise: 'Keylime conf traps: list syntax, duplicate key, unknown keys, wrong file, contact_ip left at 127.0.0.1',
  },
  {
    id: 'incident:systemd:ordering',
    alias: 'P30',
    promise:
      "systemd: '/run/spire' vanishes, 'ProtectSystem=strict' vs secure mount, verifier 502 for 30 s, registrar not ready",
  },
  {
    id: 'incident:devid:throw-away-key',
    alias: 'P31',
    promise: 'DevID certs certify a throwaway OpenSSL key, not TPM key 0x81010002 (all three hosts)',
  },
  { id: 'incident:ek:unchecked', alias: 'P32', promise: '"DANGER: EK cert checking is disabled"' },
  {
    id: 'incident:proxy:names-and-logs',
    alias: 'P33',
    promise:
      'verifier cert served for registrar name; SNI/vhost confusion behind 443; quote in the query string reaches nginx logs',
  },
  { id: 'incident:metrics:none', alias: 'P34', promise: 'No metrics; Pushover from shell' },
  {
    id: 'incident:plugin:dies-and-prints',
    alias: 'P35',
    promise: `'log.Fatal' on unreadable CA kills the plugin process; 'fmt.Println("HI!")' on stdout in a protocol that uses stdout`,
  },
]
