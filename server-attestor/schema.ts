/**
 * The keys of the server half's `plugin_data`; decoding, messages and `docs/configuration-server.md` come from here.
 *
 * @module
 */

import { parseRequirement, parseTpmPolicy, TpmPolicyError } from '@tower-of-omens/gate'
import { cut, hostProblem, parseHostPort } from '@tower-of-omens/keylime'
import { defineSchema } from '@tower-of-omens/spire-sdk/hcl'
import { QUOTED_PCRS } from './tpm-task.ts'

/** Name of the plugin block in SPIRE's configuration, and so the type of its selectors and SPIFFE IDs. */
export const PLUGIN_NAME = 'keylime'

/** Where Keylime's verifier writes the certificates it makes at first start. */
const CV_CA = '/var/lib/keylime/cv_ca'
const DAY_MS = 86_400_000

/** Every key; `config.ts` makes a configuration of the values. */
export const SERVER_SCHEMA = defineSchema({
  keylime_verifier_host: {
    kind: 'string',
    default: '127.0.0.1',
    check: hostProblem,
    help: 'Host name or address of the Keylime verifier.',
  },
  keylime_verifier_port: { kind: 'port', default: 8881, help: 'Port of the Keylime verifier.' },
  keylime_verifiers: {
    kind: 'string_list',
    min: 1,
    max: 32,
    check: hostPortProblem,
    help: 'Several verifiers, each `"host:port"`, instead of the two keys above. Asked in order; the one that knows a node is asked first next time.',
  },
  keylime_registrar_host: {
    kind: 'string',
    defaultText: "the first verifier's host",
    check: hostProblem,
    help: 'Host name or address of the Keylime registrar.',
  },
  keylime_registrar_port: { kind: 'port', default: 8891, help: 'TLS port of the Keylime registrar.' },
  keylime_registrars: {
    kind: 'string_list',
    min: 1,
    max: 32,
    check: hostPortProblem,
    help: 'Several registrars, each `"host:port"`, instead of the two keys above. Asked in order, and all of them before a quote that does not fit is refused.',
  },
  keylime_tls_ca_cert_file: {
    kind: 'string',
    path: true,
    default: `${CV_CA}/cacert.crt`,
    help: 'PEM file of the CA certificates that verifier and registrar are trusted by. Every block counts; an intermediate alone is enough.',
  },
  keylime_tls_cert_file: {
    kind: 'string',
    path: true,
    default: `${CV_CA}/server-cert.crt`,
    help: 'PEM file of our client certificate, with its intermediates. Read again when it changes.',
  },
  keylime_tls_key_file: {
    kind: 'string',
    path: true,
    default: `${CV_CA}/server-private.pem`,
    help: 'PEM file of its private key: PKCS#8, SEC1 or PKCS#1, not encrypted.',
  },
  keylime_tls_client_cert_file: { aliasOf: 'keylime_tls_cert_file' },
  keylime_tls_client_key_file: { aliasOf: 'keylime_tls_key_file' },
  keylime_verifier_server_name: {
    kind: 'string',
    defaultText: 'the host',
    check: hostProblem,
    help: "Name or address expected in the verifiers' certificates.",
  },
  keylime_registrar_server_name: {
    kind: 'string',
    defaultText: 'the host',
    check: hostProblem,
    help: "Name or address expected in the registrars' certificates.",
  },
  request_timeout: {
    kind: 'duration',
    default: '5s',
    min: 100,
    max: 30_000,
    help: 'Limit of one HTTP request to verifier or registrar.',
  },
  wait_for_attestation: {
    kind: 'duration',
    default: '0s',
    min: 0,
    max: 300_000,
    help: 'How long the stream of a node that is not attested yet is held open, asking the verifier again. A starting SPIRE agent gives up after one minute. A node that is not enrolled is held for 30 seconds at most.',
  },
  max_attestation_age: {
    kind: 'duration',
    refusesEmpty: true,
    min: 1_000,
    max: DAY_MS,
    defaultText: '2 x `maximum_attestation_interval` of the node, at least `"30s"`; `"60s"` before Keylime 7.14.0',
    help: "How old the last successful attestation of a node may be, by the verifier's own clock.",
  },
  verifier_opinion_ttl: {
    kind: 'duration',
    default: '24h',
    min: 0,
    max: 7 * DAY_MS,
    help: 'How long the verifier\'s opinion of an attestation key stands, as long as the verifier runs on with the same enrolment. `"0s"`: it is asked at every attestation.',
  },
  require_policy: {
    kind: 'string_list',
    default: [],
    check: requirementProblem,
    help: 'What the enrolled policy must check: any of `"pcr"`, `"pcr:<n>"`, `"measured-boot"`, `"measured-boot-enrolled"`, `"runtime"`. A PCR in the mask without allowed values does not count. For `"pcr"` one of the PCRs 0-9 and 11-14 must be compared, and none of its values be all zeros or all ones. `"measured-boot"` warns unless `verifier_measured_boot_policy_name` is set.',
  },
  verifier_measured_boot_policy_name: {
    kind: 'string',
    refusesEmpty: true,
    check: measuredBootPolicyProblem,
    defaultText: 'not said',
    help: '`measured_boot_policy_name` of verifier.conf, which no API shows. By naming it you vouch that this policy compares boot logs with the reference states enrolled; `"accept-all"`, Keylime\'s default, compares nothing.',
  },
  tpm_policy: {
    kind: 'string',
    refusesEmpty: true,
    check: tpmPolicyProblem,
    help: 'Pinned policy, JSON: the `tpm_policy` enrolled at the verifier must equal it, whatever the spelling.',
  },
  allowed_hash_algs: {
    kind: 'string_list',
    default: ['sha256', 'sha384', 'sha512'],
    min: 1,
    oneOf: ['sha256', 'sha384', 'sha512'],
    help: 'Hash algorithms accepted in a quote.',
  },
  accept_evidence: {
    kind: 'string_list',
    default: ['keylime-agent', 'tpm'],
    min: 1,
    oneOf: ['keylime-agent', 'tpm'],
    help: 'Kinds of evidence accepted. `["tpm"]`: only from agent halves with `evidence = "tpm"`, whose quotes no other host can relay.',
  },
  pcr_selectors: {
    kind: 'string_list',
    default: [],
    check: pcrSelectorProblem,
    help: 'PCRs whose values become selectors `pcr:<bank>:<n>:<hex>`, from quotes of agent halves with `evidence = "tpm"`: any of 0-9 and 11-15. They change with every update of what they measure.',
  },
  pcr_bank: {
    kind: 'string',
    default: 'sha256',
    oneOf: ['sha256', 'sha384', 'sha512'],
    help: 'Bank of the PCRs that agent halves with `evidence = "tpm"` quote. Values in a `tpm_policy` of another bank are left to the verifier.',
  },
  require_ek_uuid: {
    kind: 'boolean',
    default: false,
    help: 'Admit only nodes whose agent ID is the hash of the registered endorsement key (`uuid = "hash_ek"`).',
  },
  ek_ca_path: {
    kind: 'string',
    refusesEmpty: true,
    path: true,
    help: "PEM file, or folder of them, with the TPM makers' CA certificates: the registered EK certificate must chain to one. Their dates are warned of and do not refuse.",
  },
  require_ek_dates: {
    kind: 'boolean',
    default: false,
    help: 'With `ek_ca_path`: the EK certificate and the CA certificates above it must be within their dates; else the node has to wait. Nobody can renew an EK certificate.',
  },
  allow_default_uuid: {
    kind: 'boolean',
    default: false,
    help: 'Admit the agent ID `d432fbb3-d2f1-4a97-9ef7-75bd81c00000`, which every unconfigured Keylime agent claims.',
  },
  enforce: {
    kind: 'boolean',
    default: true,
    help: 'False: shadow mode. What the Go plugin does not check either is only logged and counted, not refused.',
  },
  tpm_path: { ignored: 'the server half uses no TPM; the nodes are quoted by their Keylime agents' },
})

function pcrSelectorProblem(value: string): string | undefined {
  if (!/^(?:\d|1\d|2[0-3])$/.test(value)) return 'expected the number of a PCR, 0 to 9 or 11 to 15'
  const pcr = Number(value)
  if (pcr === 10) return 'PCR 10 changes with every file that is measured: no entry could select it'
  if (!QUOTED_PCRS.includes(pcr)) return `PCR ${value} can be reset by software: it proves nothing`
  return undefined
}

function hostPortProblem(value: string): string | undefined {
  const address = parseHostPort(value, 0)
  if (address !== undefined && address.port > 0) return undefined
  return `expected "host:port", found ${JSON.stringify(cut(value, 80))}`
}

function requirementProblem(value: string): string | undefined {
  if (parseRequirement(value) !== undefined) return undefined
  return 'expected "pcr", "pcr:<0-23>" (not 10 or 16, which Keylime never compares), "measured-boot", "measured-boot-enrolled" or "runtime"'
}

function measuredBootPolicyProblem(value: string): string | undefined {
  return /^[\w.-]{1,80}$/.test(value) ? undefined : 'expected the name that stands in verifier.conf, such as "example"'
}

function tpmPolicyProblem(value: string): string | undefined {
  try {
    parseTpmPolicy(value)
    return undefined
  } catch (error) {
    if (error instanceof TpmPolicyError) return error.message
    throw error
  }
}
