/**
 * Speed, fleets, and more than one machine.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const SCALE: readonly Requirement[] = [
  {
    id: 'scale:start:known-answers',
    promise:
      'Configure tests the proof of quotes with known answers, good and bad, for each kind of key, and refuses to judge nodes when one is wrong',
  },
  {
    id: 'scale:storm:self-check',
    promise:
      'nodes never seen that come all at once cost the verifier one identity check each; its self-check is shared, and made up for with each node later',
  },
  {
    id: 'scale:start:greeted',
    promise: 'what both services speak is learnt once a process, while its first node is still challenged',
  },
  {
    id: 'scale:storm:put-off',
    promise:
      'a bulk read is put off while opinions keep the verifier busy anyway, and never for longer than one and a half times its own length',
  },
  {
    id: 'scale:model:checked-by-measurement',
    promise:
      'The arithmetic for 100,000 nodes is computed from fleets of 1,000, 5,000 and 10,000 behind a real spire-server, and agrees with what was published of them',
  },
  {
    id: 'scale:goals:explained',
    promise: 'Each goal that a run does not meet points to a paragraph that says why',
  },
  {
    id: 'scale:keys:as-openssl-writes-them',
    promise: "A TPM's public key has the SPKI that OpenSSL writes, byte for byte: IDs and fingerprints depend on it",
  },
  {
    id: 'fleet:two-sites:one-fleet',
    promise:
      'Two SPIRE servers on one PostgreSQL with two verifiers, each with its part of the nodes: both servers know the whole fleet',
  },
  {
    id: 'fleet:server:killed-under-load',
    promise:
      'kill -9 of a SPIRE server while every node attests: each attests at the other server, no workload is left without an SVID, no verdict',
  },
  {
    id: 'fleet:database:restarted',
    promise:
      'PostgreSQL restarted under SPIRE servers and registrars: workloads keep their SVIDs, nodes attest again without a restart of anything else',
  },
  {
    id: 'fleet:verifier:gone-and-back',
    promise:
      "A verifier gone: the other verifier's nodes attest, its own are told to try again and never get a verdict; they attest once it is back",
  },
  {
    id: 'fleet:registrar:gone',
    promise: 'One of two registrars on one database gone: every node attests through the other',
  },
  {
    id: 'fleet:release:rolling-upgrade',
    promise:
      "SPIRE servers, then SPIRE agents, change one after the other from the last release's halves to these, while every node attests",
  },
  {
    id: 'fleet:watch:both-servers',
    promise: 'One towerkeep watch hears two verifiers, and cuts a failed node off at both SPIRE servers within seconds',
  },
]
