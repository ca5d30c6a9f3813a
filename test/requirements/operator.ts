/**
 * What `towerkeep` does for an operator.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const OPERATOR: readonly Requirement[] = [
  {
    id: 'operator:status:follows-parts',
    alias: 'O01',
    promise:
      "'status' on three hosts: kill a Keylime agent -> its row changes, exit 2, within 12 s; stop the verifier -> '?', exit 3; golden JSON",
  },
  {
    id: 'operator:status:json-numbers',
    alias: 'O02',
    promise: "'status --output json' has the four computed numbers; a join_token agent added -> not 0 % any more",
  },
  {
    id: 'operator:watch:ban-undone-in-flight',
    alias: 'O12',
    promise: 'attestation in flight while its agent is banned (held stream): banned at the end',
  },
  {
    id: 'operator:watch:outage-is-no-absence',
    alias: 'O13',
    promise:
      "verifier stopped, all hosts stale: brake, 0 evictions, one alert; one host's Keylime agent killed: evicted <= 36 s, others untouched",
  },
  {
    id: 'operator:watch:bell-is-no-order',
    alias: 'O14',
    promise:
      "bell without certificate, with another host's, with the tenant's, replayed, 1 MiB, 10,000 rings: 0 evictions, a true one still counts",
  },
  {
    id: 'watch:bell:before-record',
    promise: 'a bell that comes before the record is stored: the record is read again until it says the same',
  },
  { id: 'watch:mode:observe', promise: 'mode observe says once what it would do, and does nothing' },
  {
    id: 'watch:act:pending',
    promise: 'SPIRE server away: the cut-off is kept, tried each second, and done when it is back',
  },
  {
    id: 'watch:status:after-question',
    promise: 'status through the daemon shows what happened before it was asked, and says of which moment it is',
  },
  {
    id: 'operator:frozen-state:same-code',
    alias: 'O03',
    promise: "a host that the gate refuses: status critical, and the same code as in the plugin's refusal",
  },
  {
    id: 'operator:watch:cut-off-in-seconds',
    alias: 'O11',
    promise:
      'tampered PCR: issuance refused and Workload API gone within seconds, others untouched, the host comes back under the same ID; thirty rounds published in docs/bench/cut-off.md',
  },
  {
    id: 'operator:serve:metrics-and-page',
    alias: 'O22',
    promise:
      'every metric that dashboard and alerts name is there; page whole without JavaScript, with a CSP; listener beyond loopback without TLS refuses',
  },
  {
    id: 'operator:sources:no-database-no-ssh',
    alias: 'O25',
    promise: "no database, no SSH, no start of spire-server or keylime_tenant in the operator's tool",
  },
  {
    id: 'operator:socket:mints-nothing',
    alias: 'O23',
    promise:
      "under the shipped policy the daemon's calls pass, MintX509SVID from the same program is PERMISSION_DENIED, and the audit log names the program (SPIRE 1.13.3 and newest)",
  },
  {
    id: 'operator:explain:same-judgement',
    alias: 'O06',
    promise: "explain names the same reasons as the plugin's own judgement, for 200 random records",
  },
  {
    id: 'operator:watch:survives-faults',
    alias: 'O27',
    promise:
      'kill -9 between ban and verification: found and kept at the next start; full disk: acts, and says so; a clock five minutes ahead or behind, or one that jumps: the same decisions',
  },
  {
    id: 'operator:runbooks:use-the-tool',
    alias: 'O28',
    promise:
      'the runbooks do with towerkeep whatever it does, and run as they stand; links lead somewhere; manual, completion and pages are what the code says',
  },
  {
    id: 'operator:names:inert',
    promise:
      'names and events that strangers write act neither on a terminal nor on a shell that completes them, and hosts are called by plain names alone',
  },
  {
    id: 'operator:support:no-secret',
    promise:
      'what leaves the machine has no secret of a configuration, in HCL, JSON, TOML or INI, on a line, within one or over several, nor in a URL',
  },
  {
    id: 'operator:package:comes-and-goes',
    promise:
      'the package is installed, updated, removed and purged: user, folders and timers come, an upgrade turns nothing on again, and nothing is left but the user',
  },
  {
    id: 'operator:units:verified',
    promise: 'systemd finds nothing to say about units and drop-ins, and no exposure above what each needs',
  },
  {
    id: 'operator:watch:thousand-hosts',
    alias: 'O26',
    promise: '1,000 hosts, one failure noticed -> banned <= 0.5 s p99, 50 at once <= 1 s, RSS <= 200 MB',
  },
  {
    id: 'operator:start:quick',
    alias: 'O24',
    promise: '--help <= 100 ms p99 of 50 starts, status of three hosts <= 500 ms, completion of host names <= 100 ms',
  },
]
