/**
 * The body by which a verifier is told to poll an agent.
 *
 * @module
 */

import type { Registration } from '../api/v2/registrar-record.ts'
import type { ApiVersion } from '../api/v2/versions.ts'
import type { HostPort } from '../basis/host-port.ts'

/** A TPM policy as it is enrolled: `mask` names the PCRs of the quote, the other keys a PCR's allowed values. */
export type TpmPolicyText = Readonly<Record<string, string | readonly string[]>>

/** Algorithms that a verifier takes from an agent, by Keylime's names. */
export interface AcceptedAlgorithms {
  readonly hash: readonly string[]
  readonly encryption: readonly string[]
  readonly signing: readonly string[]
}

/** What is accepted unless said otherwise: nothing with SHA-1, and what TPMs of today sign and encrypt with. */
export const ACCEPTED_ALGORITHMS: AcceptedAlgorithms = {
  hash: ['sha256', 'sha384', 'sha512'],
  encryption: ['rsa2048', 'rsa', 'ecc'],
  signing: ['rsassa', 'ecdsa'],
}

/** How an agent is enrolled. */
export interface Enrolment {
  /** Its keys and certificate, as the registrar has them. */
  readonly registration: Registration
  /** Where the verifier polls it; default: the address it registered. `none`: in push mode it polls nobody. */
  readonly contact?: Partial<HostPort> | 'none'
  /** Where the agent finds the verifier. */
  readonly verifier: HostPort
  readonly tpmPolicy: TpmPolicyText
  /** A runtime (IMA) policy: its JSON text, or the name of one that the verifier keeps. */
  readonly runtimePolicy?: { readonly text: string } | { readonly name: string }
  /** A measured-boot reference: its JSON text, or the name of one that the verifier keeps. */
  readonly measuredBootPolicy?: { readonly text: string } | { readonly name: string }
  /** Key of the signature of the runtime policy, as Keylime stores it; default: it is not signed. */
  readonly runtimePolicyKey?: string
  readonly accepted?: AcceptedAlgorithms
  /** JSON text that the verifier keeps beside the agent; default `{}`. */
  readonly metadata?: string
}

/**
 * Writes the body of `POST /agents/{id}`, with every key the handler reads.
 *
 * @param enrolment What to enrol.
 * @param version The API version spoken with the verifier.
 * @returns The body.
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `AgentsHandler.post`
 */
export function enrolmentBody(enrolment: Enrolment, version: ApiVersion): Readonly<Record<string, unknown>> {
  const { registration, contact = {}, verifier, runtimePolicy, measuredBootPolicy } = enrolment
  const accepted = enrolment.accepted ?? ACCEPTED_ALGORITHMS
  return {
    v: null,
    cloudagent_ip: contact === 'none' ? null : (contact.host ?? registration.ip ?? null),
    cloudagent_port: contact === 'none' ? null : (contact.port ?? registration.port ?? null),
    verifier_ip: verifier.host,
    verifier_port: String(verifier.port),
    tpm_policy: JSON.stringify(enrolment.tpmPolicy),
    runtime_policy: textOf(runtimePolicy, (text) => Buffer.from(text).toString('base64')) ?? '',
    runtime_policy_name: nameOf(runtimePolicy),
    runtime_policy_key: enrolment.runtimePolicyKey ?? '',
    // An empty text would count as a reference that is there.
    mb_policy: textOf(measuredBootPolicy) ?? null,
    mb_policy_name: nameOf(measuredBootPolicy),
    ima_sign_verification_keys: '',
    metadata: enrolment.metadata ?? '{}',
    revocation_key: '',
    accept_tpm_hash_algs: accepted.hash,
    accept_tpm_encryption_algs: accepted.encryption,
    accept_tpm_signing_algs: accepted.signing,
    ak_tpm: registration.akTpm.toString('base64'),
    mtls_cert: registration.mtlsCert ?? null,
    supported_version: version,
  }
}

type PolicyChoice = { readonly text: string } | { readonly name: string } | undefined

function textOf(choice: PolicyChoice, encode = (text: string): string => text): string | undefined {
  return choice !== undefined && 'text' in choice ? encode(choice.text) : undefined
}

function nameOf(choice: PolicyChoice): string | null {
  return choice !== undefined && 'name' in choice ? choice.name : null
}
