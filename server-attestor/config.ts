/**
 * From the text of `plugin_data` to a checked configuration, or to every problem with it at once. No sockets.
 *
 * @module
 */

import type { EvidenceKind, GateRules, IdentityRules } from '@tower-of-omens/gate'
import {
  checksNothing,
  describeStrength,
  type PolicyRequirement,
  type PolicyStrength,
  parseRequirement,
  parseTpmPolicy,
  strengthOf,
  type TpmPolicy,
  unmetRequirements,
  vouchOf,
} from '@tower-of-omens/gate'
import { formatHostPort, type HostPort, MAX_AGENT_ID_CHARACTERS, parseHostPort } from '@tower-of-omens/keylime'
import type { EkAnchors } from '@tower-of-omens/keylime/evidence'
import { loadTlsFiles, type TlsFiles } from '@tower-of-omens/keylime/tls-files'
import { MAX_SPIFFE_ID_BYTES } from '@tower-of-omens/spire-sdk'
import { type DecodedConfig, decodeConfig, inOrder, Problem } from '@tower-of-omens/spire-sdk/hcl'
import type { HashAlg } from '@tower-of-omens/tpm'
import { readEkCas } from './identity/ek-cas.ts'
import { type ServiceSettings, TLS_FILE_NAMES } from './reading/clients.ts'
import { PLUGIN_NAME, SERVER_SCHEMA } from './schema.ts'

/** A configuration in force: whole, checked, never changed. */
export interface ServerConfig {
  readonly trustDomain: string
  readonly services: ServiceSettings
  readonly gate: GateRules
  readonly identity: IdentityRules
  readonly allowedHashAlgs: readonly HashAlg[]
  /** `wait_for_attestation`, milliseconds; 0: a node that is not attested yet is refused at once. */
  readonly waitMs: number
  readonly acceptEvidence: readonly EvidenceKind[]
  /** PCRs whose proved values become selectors. */
  readonly pcrSelectors: readonly number[]
  readonly pcrBank: HashAlg
}

/** Every problem and warning as a sentence, and the configuration when there is no problem. */
export interface ConfigRead {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  readonly config?: ServerConfig
}

/** What a configuration says without the files it names, which another user may not be allowed to read. */
export interface AskedConfig {
  readonly problems: readonly string[]
  readonly verifiers: readonly HostPort[]
  readonly registrars: readonly HostPort[]
  readonly verifierServerName?: string | undefined
  readonly registrarServerName?: string | undefined
  readonly gate: GateRules
  readonly allowedHashAlgs: readonly HashAlg[]
  readonly requireEkUuid: boolean
}

type Fields = (typeof SERVER_SCHEMA)['fields']
type Read = DecodedConfig<Fields>
type Values = Read['values']

/**
 * Reads a configuration and the files it names.
 *
 * @param request Trust domain, and the text of `plugin_data`: HCL 1 or JSON.
 * @param now Milliseconds since the epoch, for certificates.
 * @returns All problems, or the configuration.
 */
export function readConfig(
  request: { readonly trustDomain: string; readonly hcl: string },
  now: number = Date.now(),
): ConfigRead {
  const read = decodeConfig(request.hcl, SERVER_SCHEMA)
  const { values } = read
  const requirements = values.require_policy.map(parseRequirement).filter((one) => one !== undefined)
  const pinned = pinnedPolicyOf(values)
  const found = inOrder([
    ...read.problems,
    ...contradictions(read),
    ...policyContradictions(read, pinned, requirements),
  ])
  const tlsFiles: TlsFiles = {
    caFile: values.keylime_tls_ca_cert_file,
    certFile: values.keylime_tls_cert_file,
    keyFile: values.keylime_tls_key_file,
  }
  const tls = loadTlsFiles(tlsFiles, { now, names: TLS_FILE_NAMES })
  const ek = readEkCas(values.ek_ca_path, values.require_ek_dates, now)
  const room = roomForAgentId(request.trustDomain)
  const problems = [...room.problems, ...found.map(String), ...tls.problems, ...ek.problems]
  const warnings = [
    ...read.warnings.map(String),
    ...tls.warnings,
    ...ek.warnings,
    ...policyWarnings(values, pinned),
    ...room.warnings,
  ]
  if (problems.length > 0 || tls.material === undefined) return { problems, warnings }
  const config: ServerConfig = {
    trustDomain: request.trustDomain,
    services: {
      ...addresses(values),
      verifierServerName: values.keylime_verifier_server_name,
      registrarServerName: values.keylime_registrar_server_name,
      requestTimeoutMs: values.request_timeout,
      opinionTtlMs: values.verifier_opinion_ttl,
      tls: { files: tlsFiles, material: tls.material },
    },
    gate: gateRules(values, requirements, pinned),
    identity: identityRules(values, ek.anchors),
    allowedHashAlgs: values.allowed_hash_algs,
    waitMs: values.wait_for_attestation,
    acceptEvidence: values.accept_evidence,
    pcrSelectors: values.pcr_selectors.map(Number),
    pcrBank: values.pcr_bank,
  }
  return { problems, warnings, config }
}

/**
 * Reads a configuration and none of the files it names: for the operator's tool, which judges as the plugin does.
 *
 * @param hcl The text of `plugin_data`: HCL 1 or JSON.
 * @returns All problems; where there are some, what they are about stands as its default.
 */
export function readAsked(hcl: string): AskedConfig {
  const read = decodeConfig(hcl, SERVER_SCHEMA)
  const { values } = read
  const requirements = values.require_policy.map(parseRequirement).filter((one) => one !== undefined)
  const pinned = pinnedPolicyOf(values)
  const problems = inOrder([
    ...read.problems,
    ...contradictions(read),
    ...policyContradictions(read, pinned, requirements),
  ])
  return {
    problems: problems.map(String),
    ...addresses(values),
    verifierServerName: values.keylime_verifier_server_name,
    registrarServerName: values.keylime_registrar_server_name,
    gate: gateRules(values, requirements, pinned),
    allowedHashAlgs: values.allowed_hash_algs,
    requireEkUuid: values.require_ek_uuid,
  }
}

// A SPIFFE ID has 255 bytes at most, since SPIRE's databases hold no more.
function roomForAgentId(trustDomain: string): { problems: readonly string[]; warnings: readonly string[] } {
  const room = MAX_SPIFFE_ID_BYTES - `spiffe://${trustDomain}/spire/agent/${PLUGIN_NAME}/`.length
  if (room >= MAX_AGENT_ID_CHARACTERS) return { problems: [], warnings: [] }
  if (room < 1) {
    return { problems: [`trust domain ${trustDomain} leaves no room for an agent ID in a SPIFFE ID`], warnings: [] }
  }
  const warning =
    `the trust domain leaves ${room} characters for an agent ID: nodes with a longer one will be refused ` +
    '(a UUID has 36, the hash of an endorsement key 64)'
  return { problems: [], warnings: [warning] }
}

function identityRules(values: Values, ekAnchors: EkAnchors | undefined): IdentityRules {
  return {
    allowDefaultUuid: values.allow_default_uuid,
    requireEkUuid: values.require_ek_uuid,
    requireEkDates: values.require_ek_dates,
    ekAnchors,
  }
}

function gateRules(
  values: Values,
  requirePolicy: readonly PolicyRequirement[],
  pinnedPolicy: TpmPolicy | undefined,
): GateRules {
  return {
    requirePolicy,
    enforce: values.enforce,
    measuredBoot: vouchOf(values.verifier_measured_boot_policy_name),
    ...(values.max_attestation_age !== undefined && { maxAttestationAgeMs: values.max_attestation_age }),
    ...(pinnedPolicy !== undefined && { pinnedPolicy }),
  }
}

function addresses(values: Values): { verifiers: readonly HostPort[]; registrars: readonly HostPort[] } {
  const verifiers = listed(values.keylime_verifiers) ?? [
    { host: values.keylime_verifier_host, port: values.keylime_verifier_port },
  ]
  const host = values.keylime_registrar_host ?? verifiers[0]?.host ?? values.keylime_verifier_host
  const registrars = listed(values.keylime_registrars) ?? [{ host, port: values.keylime_registrar_port }]
  return { verifiers, registrars }
}

function listed(addressList: readonly string[] | undefined): readonly HostPort[] | undefined {
  return addressList?.map((text) => parseHostPort(text, 0)).filter((one) => one !== undefined)
}

function problemAt(read: Read, key: Extract<keyof Fields, string>, message: string): Problem {
  return new Problem(read.positions.get(key) ?? { line: 1, column: 1 }, key, message)
}

/** Keys that cannot be meant together. */
function contradictions(read: Read): readonly Problem[] {
  const { given, values } = read
  const problems: Problem[] = []
  for (const role of ['verifier', 'registrar'] as const) {
    const list = `keylime_${role}s` as const
    for (const single of [`keylime_${role}_host`, `keylime_${role}_port`] as const) {
      if (given.has(list) && given.has(single)) {
        problems.push(problemAt(read, single, `cannot be set together with "${list}": name every ${role} there`))
      }
    }
    const texts = (listed(values[list]) ?? []).map(formatHostPort)
    const twice = texts.find((text, index) => texts.indexOf(text) !== index)
    if (twice !== undefined) problems.push(problemAt(read, list, `names "${twice}" twice`))
  }
  if (values.require_ek_dates && values.ek_ca_path === undefined) {
    problems.push(problemAt(read, 'require_ek_dates', 'needs "ek_ca_path": without it no EK certificate is looked at'))
  }
  if (values.allow_default_uuid && values.require_ek_uuid) {
    problems.push(
      problemAt(
        read,
        'allow_default_uuid',
        'cannot be true together with "require_ek_uuid": the default ID is no hash of a key',
      ),
    )
  }
  return problems
}

function pinnedPolicyOf(values: Values): TpmPolicy | undefined {
  const text = values.tpm_policy
  return text === undefined ? undefined : parseTpmPolicy(text)
}

// What can never meet `require_policy` would refuse every node.
function policyContradictions(
  read: Read,
  pinned: TpmPolicy | undefined,
  requirements: readonly PolicyRequirement[],
): readonly Problem[] {
  const name = read.values.verifier_measured_boot_policy_name
  const unvouched = requirements.filter((one) => one.startsWith('measured-boot') && vouchOf(name) === 'accepts-all')
  const problems = unvouched.map((requirement) =>
    problemAt(
      read,
      'verifier_measured_boot_policy_name',
      `can never meet "${requirement}" of "require_policy": "${name ?? ''}" takes every boot log`,
    ),
  )
  if (pinned === undefined) return problems
  const best = bestOf(pinned, read.values)
  const unmet = unmetRequirements(best, requirements).filter((requirement) => !unvouched.includes(requirement))
  const tooWeak = unmet.map((requirement) =>
    problemAt(read, 'tpm_policy', `can never meet "${requirement}" of "require_policy": ${describeStrength(best)}`),
  )
  return [...problems, ...tooWeak]
}

// What a pinned policy is worth with all that can be enrolled beside it.
function bestOf(pinned: TpmPolicy, values: Values): PolicyStrength {
  const vouch = vouchOf(values.verifier_measured_boot_policy_name)
  return strengthOf(pinned, { hasRuntimePolicy: true, hasMbRefstate: true }, vouch)
}

function policyWarnings(values: Values, pinned: TpmPolicy | undefined): readonly string[] {
  const warnings: string[] = []
  if (values.require_policy.includes('measured-boot') && values.verifier_measured_boot_policy_name === undefined) {
    warnings.push(
      'require_policy: "measured-boot" is met by a reference state being enrolled; whether the verifier compares anything ' +
        'with it is decided by measured_boot_policy_name in its verifier.conf (default "accept-all": nothing), which no API ' +
        'shows: name it in "verifier_measured_boot_policy_name", or require "measured-boot-enrolled"',
    )
  }
  if (pinned !== undefined && checksNothing(bestOf(pinned, values))) {
    warnings.push(
      `tpm_policy: the pinned policy ${pinned.canonical} checks nothing, whatever is enrolled beside it: ` +
        'a PCR in the mask without allowed values is only quoted',
    )
  }
  if (!values.enforce) {
    warnings.push('enforce: false is shadow mode: nodes are admitted that the clauses in the log would refuse')
  }
  return warnings
}
