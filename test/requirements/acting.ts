/**
 * What the verbs of `towerkeep` that find causes and change things do for an operator.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const ACTING: readonly Requirement[] = [
  {
    id: 'operator:doctor:names-cause',
    promise: 'doctor names each of the faults it knows as the only cause, and nothing once it is mended',
  },
  {
    id: 'operator:plan:rollback',
    promise: 'A change that fails goes back to where it began, and never takes back what it found done',
  },
  {
    id: 'operator:plan:journal-first',
    promise: 'A change whose journal cannot be written is refused before anything is done',
  },
  {
    id: 'operator:renew:old-files-stay',
    promise: 'A certificate authority that is sealed, away or refuses: exit 75, and the old files stay in force',
  },
  {
    id: 'operator:act:enrolled-host',
    promise: 'an order by name means the enrolled host, whoever registered under that name besides',
  },
  {
    id: 'operator:renew:rolled-back',
    promise: 'A new certificate that the service does not serve is taken back: exit 2',
  },
  {
    id: 'operator:pin:write',
    alias: 'O20',
    promise:
      'pin: a file that is not the pinned one is found, also under a running process; SPIRE refuses to start it, --write mends it',
  },
  {
    id: 'operator:doctor:breakers',
    alias: 'O04',
    promise:
      'everything that doctor can find is broken on the tower or at unit level: named as the only cause, silence once it is mended; of two at once the cause comes first',
  },
  {
    id: 'operator:doctor:healthy-tower',
    alias: 'O05',
    promise: 'healthy tower: doctor finds nothing, exit 0, within 10 s; to a user without rights: only UNKNOWN, exit 3',
  },
  {
    id: 'operator:gc:undo',
    alias: 'O17',
    promise:
      'gc: what is left over is exactly reported, nothing healthy; --delete, then the undo file restores; refused with the registrar down, and for more than a third',
  },
  {
    id: 'operator:entries:reparent',
    alias: 'O18',
    promise: 'agent IDs that keep changing: entries reparent, and the workload has its SVID again',
  },
  {
    id: 'operator:policy:window',
    alias: 'O19',
    promise:
      'policy baseline, then tampering is refused; kernel update: diff names the events; approve: old and new boot pass, after the window only the new one; never without a policy',
  },
  {
    id: 'operator:recover:beyond-retries',
    alias: 'O10',
    promise:
      'an absence beyond the retries: recover restores the host; one whose measurements failed stays; one that is polled is left alone; watch does the same where its key says so, and cannot otherwise',
  },
  {
    id: 'operator:revoke:and-restore',
    alias: 'O15',
    promise: 'revoke: refused though Keylime is content; restore after a newer success, under the same ID',
  },
  {
    id: 'operator:devid:throw-away',
    alias: 'O21',
    promise: 'a DevID certificate over a throw-away key is found, and renew devid makes one in the TPM',
  },
  {
    id: 'operator:devid:attested-by-spire',
    promise: "SPIRE's own tpm_devid attestor takes the DevID that renew devid made, and the one after it",
  },
  {
    id: 'operator:enroll:three-commands',
    alias: 'O07',
    promise:
      'a fourth host by prepare, apply, accept in < 60 s: files twice byte-equal and without a secret, killed after each step and resumed, evidence from the TPM or with certificates',
  },
  {
    id: 'operator:renew:faults',
    alias: 'O08',
    promise:
      'renew --all: three cycles of short certificates under load without a failed attestation; sealed OpenBao -> 75, old files in force; issuer missing at a peer, or not served -> 2, rolled back; hook fails -> 1',
  },
  {
    id: 'operator:renew:long-absence',
    alias: 'O09',
    promise: 'away for longer than certificate and SVID live: login by SVID fails, AppRole renews, the host attests',
  },
  {
    id: 'operator:revoke:break-glass',
    alias: 'O16',
    promise:
      'revoke --break-glass with Envoy between two hosts: an SVID with minutes left is refused by the peer within seconds, healthy hosts go on',
  },
]
