/**
 * The keys of the agent half's `plugin_data`; decoding, messages and the documentation's table come from here.
 *
 * @module
 */

import { hostProblem, isAgentId } from '@tower-of-omens/keylime'
import { DEFAULT_AGENT_DATA } from '@tower-of-omens/keylime/evidence'
import { defineSchema } from '@tower-of-omens/spire-sdk/hcl'
import { DEFAULT_TPM_PATH } from '@tower-of-omens/tpm-device'

/** Every key; `config.ts` makes a configuration of the values. */
export const AGENT_SCHEMA = defineSchema({
  evidence: {
    kind: 'string',
    oneOf: ['keylime-agent', 'tpm'],
    default: 'keylime-agent',
    help: "Where evidence comes from: `tpm`, this half quotes by itself with the Keylime agent's key and needs no certificate and no open port on the node; `keylime-agent`, it asks the Keylime agent over its API.",
  },
  keylime_agent_host: {
    kind: 'string',
    default: '127.0.0.1',
    check: hostProblem,
    help: "Host name or address of this node's Keylime agent.",
  },
  keylime_agent_port: { kind: 'port', default: 9002, help: "Port of this node's Keylime agent." },
  keylime_agent_use_tls: {
    kind: 'boolean',
    default: false,
    help: 'True: mutual TLS, which a Keylime agent speaks unless `enable_agent_mtls = false`. False warns: evidence travels in the clear.',
  },
  keylime_agent_ca_cert: {
    kind: 'string',
    path: true,
    defaultText: "the system's roots",
    help: "PEM file of the CA certificates that the Keylime agent's certificate is trusted by. Every block counts; the agent's self-signed certificate itself is fine.",
  },
  keylime_agent_client_cert: {
    kind: 'string',
    path: true,
    help: 'PEM file of our client certificate, with its intermediates; needs the key. Read again when it changes.',
  },
  keylime_agent_client_key: {
    kind: 'string',
    path: true,
    help: 'PEM file of its private key: PKCS#8, SEC1 or PKCS#1, not encrypted; needs the certificate.',
  },
  keylime_agent_server_name: {
    kind: 'string',
    defaultText: 'the host',
    check: hostProblem,
    help: "Name or address expected in the Keylime agent's certificate.",
  },
  keylime_agent_uuid: {
    kind: 'string',
    refusesEmpty: true,
    check: idProblem,
    help: 'The ID this node must have: another one is refused. Needed where the Keylime agent speaks API 2.1 only, which does not tell its ID, and with `evidence = "tpm"` where the Keylime agent has another `uuid` than `hash_ek`.',
  },
  request_timeout: {
    kind: 'duration',
    default: '15s',
    min: 100,
    max: 120_000,
    help: 'Limit of one request to the Keylime agent, or of one TPM command; a hardware TPM takes a second or more per quote.',
  },
  wait_for_agent: {
    kind: 'duration',
    default: '30s',
    min: 0,
    max: 3_600_000,
    help: 'While the Keylime agent is not up yet, at boot, or has not written its key yet, it is asked again up to this long.',
  },
  tpm_path: {
    kind: 'string',
    path: true,
    default: DEFAULT_TPM_PATH,
    help: 'With `evidence = "tpm"`: the TPM, a character device or the UNIX socket of an emulator. This user must be able to read and write it (group `tss`).',
  },
  keylime_agent_data: {
    kind: 'string',
    path: true,
    default: DEFAULT_AGENT_DATA,
    help: 'With `evidence = "tpm"`: the file in which the Keylime agent keeps its key (`agent_data_path` there). This user must be able to read it.',
  },
  tpm_endorsement_auth_file: {
    kind: 'string',
    path: true,
    help: 'With `evidence = "tpm"`: a file with the password of the TPM\'s endorsement hierarchy, where it has one (`tpm_ownerpassword` of the Keylime agent).',
  },
})

function idProblem(value: string): string | undefined {
  if (isAgentId(value)) return undefined
  return 'expected 1 to 80 of A-Z, a-z, 0-9, ".", "_", "-", beginning with a letter or digit'
}
