/**
 * The keys of the agent half's `plugin_data`; decoding, messages and the documentation's table come from here.
 *
 * @module
 */

import { hostProblem, isAgentId } from '@tower-of-omens/keylime'
import { defineSchema } from '@tower-of-omens/spire-sdk/hcl'

/** Holds every key; `config.ts` makes a configuration of the values. */
export const AGENT_SCHEMA = defineSchema({
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
    defaultText: "the system's roots",
    help: "PEM file of the CA certificates that the Keylime agent's certificate is trusted by. Every block counts; the agent's self-signed certificate itself is fine.",
  },
  keylime_agent_client_cert: {
    kind: 'string',
    help: 'PEM file of our client certificate, with its intermediates; needs the key. Read again when it changes.',
  },
  keylime_agent_client_key: {
    kind: 'string',
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
    check: idProblem,
    help: 'The ID this node must have: another one is refused. Needed where the Keylime agent speaks API 2.1 only, which does not tell its ID.',
  },
  request_timeout: {
    kind: 'duration',
    default: '15s',
    min: 100,
    max: 120_000,
    help: 'Limit of one request to the Keylime agent; a hardware TPM takes a second or more per quote.',
  },
  wait_for_agent: {
    kind: 'duration',
    default: '30s',
    min: 0,
    max: 3_600_000,
    help: 'While the Keylime agent is not up yet, at boot, it is asked again up to this long.',
  },
  tpm_path: { ignored: 'the agent half uses no TPM itself; the Keylime agent does' },
})

function idProblem(value: string): string | undefined {
  if (isAgentId(value)) return undefined
  return 'expected 1 to 80 of A-Z, a-z, 0-9, ".", "_", "-", beginning with a letter or digit'
}
