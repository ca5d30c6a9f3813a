/**
 * Evidence straight from the TPM, and push mode.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const TPM_EVIDENCE: readonly Requirement[] = [
  { id: 'tpm:device:retry', promise: 'a TPM that says "not now" is asked again for up to four seconds' },
  {
    id: 'tpm:device:hung',
    promise: 'a TPM that hangs costs one limit, then every call fails at once until it answers',
  },
  { id: 'tpm:device:lost', promise: 'what the TPM has lost is loaded anew once, silently' },
  {
    id: 'tpm:device:permissions',
    promise: 'a TPM that may not be opened: path, user, owner, group and what to do are named',
  },
  {
    id: 'tpm:evidence:bound',
    promise: 'a quote of the agent half binds trust domain, nonce, agent ID, PCRs and the activated credential',
  },
  {
    id: 'tpm:evidence:old-server',
    promise: 'an older server half gets the quote it takes, PCR 16 untouched, and one warning',
  },
  { id: 'tpm:evidence:no-leak', promise: 'one key stays loaded from attestation to attestation, and goes at the end' },
  { id: 'tpm:evidence:key-file', promise: 'a key file that is written anew, or being written, is taken as it becomes' },
  { id: 'tpm:evidence:lost', promise: 'a TPM that restarts under the plugin costs no attestation' },
  { id: 'tpm:evidence:pcr-moved', promise: 'a PCR that moves during a quote is quoted again, up to five times' },
  {
    id: 'tpm:evidence:failures',
    promise: 'each failure of TPM, file or rights has its status and its next step, never PERMISSION_DENIED',
  },
  {
    id: 'tpm:evidence:endorsement-password',
    promise: 'the password of the endorsement hierarchy is read from a file where there is one',
  },
  {
    id: 'tpm:e2e:again-and-again',
    promise: 'an agent attests again and again beside its Keylime agent: neither fails, and nothing is left in the TPM',
  },
  {
    id: 'tpm:messages:older-halves',
    promise: 'a half that knows nothing of tpm/1 understands every message, and its messages are understood',
  },
  {
    id: 'tpm:device:kernel',
    promise: "the kernel's /dev/tpmrm0 serves us beside others: more objects than places, lost handles, a busy device",
  },
  {
    id: 'tpm:server:admit',
    promise: 'a node that quotes by itself is admitted with the selectors evidence, mode and pcr',
  },
  { id: 'tpm:server:requests', promise: 'such a node costs the verifier one request once its opinion stands' },
  {
    id: 'tpm:server:proof',
    promise: 'a quote of another trust domain, node, attestation, TPM, bank or selection of PCRs is refused',
  },
  {
    id: 'tpm:server:accept',
    promise: 'accept_evidence = ["tpm"] asks for nothing that another host could relay, also in shadow mode',
  },
  {
    id: 'tpm:pcr:compared',
    promise: 'a PCR of the quote that has none of its allowed values refuses at the moment of the attestation',
  },
  {
    id: 'tpm:push:version-gone',
    promise: 'a verifier in push mode, which names no version, is spoken to all the same',
  },
  {
    id: 'tpm:push:gate',
    promise: 'each record of a push-mode verifier has its decision, and nothing unknown is admitted',
  },
  { id: 'tpm:push:stale', promise: 'PASS alone never admits: the last success must be fresh, also after a restart' },
  { id: 'tpm:push:shadow', promise: 'shadow mode relaxes neither evidence, nor FAIL, nor the proof of the evidence' },
  { id: 'tpm:push:logs', promise: 'boot log and IMA log count only where the judged evidence holds them' },
  {
    id: 'tpm:push:judged',
    promise: 'evidence that the registered TPM did not sign is refused, whatever the record of the verifier says',
  },
  {
    id: 'tpm:push:judged-meanwhile',
    promise: 'evidence that is judged while the one before it is asked for counts, and is no lack of evidence',
  },
  { id: 'tpm:push:admit', promise: 'a push-mode node is admitted by two requests to the verifier' },
  { id: 'tpm:push:wait', promise: 'wait_for_attestation waits for push-mode nodes too' },
  { id: 'tpm:e2e:push', promise: 'a push-mode host gets its SVID without a certificate or an open Keylime port' },
  {
    id: 'tpm:e2e:push-fail',
    promise: 'a push-mode host that failed stays refused until it is enrolled anew, also when its PCRs are good again',
  },
  {
    id: 'tpm:e2e:push-stale',
    promise: 'a push-mode host that is gone is not admitted within the age limit, also after a verifier restart',
  },
  {
    id: 'tpm:e2e:push-stopped',
    promise: 'a push-mode host that an operator stopped is refused, though it still attests',
  },
  {
    id: 'tpm:e2e:pull',
    promise: 'a pull-mode host is attested by its own quotes, beside its Keylime agent or without it',
  },
  { id: 'tpm:e2e:no-leak', promise: 'nothing stays loaded in the TPM when the SPIRE agent ends' },
  { id: 'tpm:e2e:pcr', promise: 'a host whose PCR is not what its policy allows is refused by its own quote' },
  {
    id: 'tpm:e2e:relay',
    promise: 'a quote relayed from another host with a trusted certificate is refused by accept_evidence = ["tpm"]',
  },
  {
    id: 'tpm:push:watched',
    promise:
      'towerkeep reads push-mode records as the plugin does: a failed node is banned, a silent one evicted, a healthy one shown as such',
  },
  {
    id: 'tpm:tower:push',
    promise: 'one host in push mode, with a verifier of its own, gets its identity beside hosts that are polled',
  },
  {
    id: 'tpm:tower:push-bare',
    promise: 'such a host has no open Keylime port, no key file and no certificate but those of two CAs',
  },
  { id: 'tpm:tower:push-seen', promise: 'towerkeep shows hosts of both modes admitted, out of both verifiers' },
  {
    id: 'tpm:tower:push-tampered',
    promise:
      'such a host that was tampered with is PERMISSION_DENIED at its next attestation, and no other host is touched',
  },
]
