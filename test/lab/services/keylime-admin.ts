/**
 * What an operator does at Keylime: reads records, enrols, stops, reactivates and removes agents, over mutual TLS.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { RigError } from '../processes/errors.ts'
import { askHttps, type HttpsAnswer } from '../processes/https.ts'
import { pollUntil } from '../processes/poll.ts'
import { STATE } from './keylime-states.ts'

/** The registrar's record, as far as tests use it. */
export interface RegistrarRecord {
  readonly agent_id: string
  readonly aik_tpm: string
  readonly ek_tpm: string
  readonly ekcert: string | null
  readonly mtls_cert: string | null
  readonly ip: string
  readonly port: number
}

/** The verifier's record, as far as tests use it. */
export interface VerifierRecord {
  readonly operational_state: number
  readonly attestation_count: number
  readonly last_successful_attestation: number | null
  readonly attestation_status?: string
  readonly last_event_id: string | null
  readonly tpm_policy: string
}

/** What to enrol an agent with. */
export interface EnrolmentPolicy {
  /** `mask` names the PCRs of the quote, the other keys give a PCR's allowed values. */
  readonly tpmPolicy: Readonly<Record<string, string | readonly string[]>>
  /** Base64 runtime policy; needs PCR 10 in the mask. */
  readonly runtimePolicy?: string
  /** JSON text of a measured-boot policy; needs PCRs 0 to 9 in the mask. */
  readonly measuredBootPolicy?: string
}

/** Where the verifier finds the agent; default: where it registered from. */
export interface EnrolmentAddress {
  readonly ip?: string
  readonly port?: number
}

/** One of the two services. */
export type KeylimeService = 'verifier' | 'registrar'

/** Where the services are, and the administrator's files. */
export interface KeylimeAdminOptions {
  readonly services: Readonly<Record<KeylimeService, { readonly host: string; readonly port: number }>>
  /** Unix socket of a portal into their network; default: this host's own. */
  readonly portal?: string
  /** PEM files, read at each call, so they need not exist yet. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string }
}

const API = '/v2.6'

/** Keylime's two services, as an administrator reaches them. */
export class KeylimeAdmin {
  readonly #options: KeylimeAdminOptions

  /** @param options Services, portal, certificate files. */
  constructor(options: KeylimeAdminOptions) {
    this.#options = options
  }

  /** Sends one request; the path begins with "/". Throws for no status. */
  ask(service: KeylimeService, method: string, path: string, body?: unknown): Promise<HttpsAnswer> {
    const { services, portal, files } = this.#options
    const [ca, cert, key] = [files.ca, files.cert, files.key].map((file) => readFileSync(file, 'utf8'))
    return askHttps({ portal, ...services[service], method, path, body, ca, cert, key, timeoutMs: 15_000 })
  }

  /** Reads the registrar's record; `undefined` before registration. */
  async registered(id: string): Promise<RegistrarRecord | undefined> {
    return (await this.#record('registrar', id)) as RegistrarRecord | undefined
  }

  /** Reads the verifier's record; `undefined` when it does not know the agent. */
  async enrolled(id: string): Promise<VerifierRecord | undefined> {
    return (await this.#record('verifier', id)) as VerifierRecord | undefined
  }

  /**
   * Adds an agent to the verifier: after {@link unenrol}, because a record that is replaced while polled is polled twice.
   *
   * @param id Which agent.
   * @param policy What its quotes are compared with.
   * @param address Where the verifier finds it.
   * @throws {RigError} It is not registered, or the verifier refuses.
   */
  async enrol(id: string, policy: EnrolmentPolicy, address: EnrolmentAddress = {}): Promise<void> {
    const record = await this.registered(id)
    if (record === undefined) throw new RigError(`the registrar does not know agent ${id}: is its Keylime agent up?`)
    const body = enrolment({ ...record, ...address }, policy, this.#options.services.verifier)
    await this.#must('POST', `${API}/agents/${id}`, `enrol agent ${id}`, body)
  }

  /** Stops polling an agent. */
  async stopAgent(id: string): Promise<void> {
    await this.#must('PUT', `${API}/agents/${id}/stop`, `stop agent ${id}`)
  }

  /** Begins anew with an agent in state 7 or 9: one that is polled already would be polled twice. */
  async reactivate(id: string): Promise<void> {
    await this.#must('PUT', `${API}/agents/${id}/reactivate`, `reactivate agent ${id}`)
  }

  /** Stops and removes an agent; resolves when the verifier no longer knows it. */
  async unenrol(id: string): Promise<void> {
    if ((await this.enrolled(id)) === undefined) return
    await this.stopAgent(id)
    // Stopped first: a record deleted while a quote is in flight goes on being polled with its old policy.
    await this.waitForState(id, [STATE.stopped])
    await this.#must('DELETE', `${API}/agents/${id}`, `remove agent ${id}`)
    await pollUntil('the verifier to forget the agent', async () => (await this.enrolled(id)) === undefined)
  }

  /** Waits until the verifier's record satisfies a test. */
  waitFor(
    id: string,
    what: string,
    test: (record: VerifierRecord) => boolean,
    deadlineMs = 30_000,
  ): Promise<VerifierRecord> {
    const look = async (): Promise<VerifierRecord> => {
      const record = await this.enrolled(id)
      if (record !== undefined && test(record)) return record
      throw new Error(record === undefined ? 'the verifier does not know the agent' : describeRecord(record))
    }
    return pollUntil(what, look, { deadlineMs })
  }

  /** Waits until an agent is in one of these states. */
  waitForState(id: string, states: readonly number[], deadlineMs?: number): Promise<VerifierRecord> {
    const test = (record: VerifierRecord): boolean => states.includes(record.operational_state)
    return this.waitFor(id, `state ${states.join(' or ')} of agent ${id}`, test, deadlineMs)
  }

  /** Waits until an agent has passed more quotes than these. */
  waitForQuotes(id: string, more = 0): Promise<VerifierRecord> {
    return this.waitFor(
      id,
      `more than ${more} passed quotes of agent ${id}`,
      (record) => record.attestation_count > more,
    )
  }

  async #record(service: KeylimeService, id: string): Promise<unknown> {
    const answer = await this.ask(service, 'GET', `${API}/agents/${id}`)
    if (answer.status === 404) return undefined
    requireSuccess(answer, `read the ${service}'s record of agent ${id}`)
    return (answer.body as { readonly results?: unknown }).results
  }

  async #must(method: string, path: string, what: string, body?: unknown): Promise<void> {
    requireSuccess(await this.ask('verifier', method, path, body), what)
  }
}

/** The body of `POST /agents/{id}`, with every key the handler reads. */
function enrolment(
  record: RegistrarRecord,
  policy: EnrolmentPolicy,
  verifier: { readonly host: string; readonly port: number },
): unknown {
  return {
    v: null,
    cloudagent_ip: record.ip,
    cloudagent_port: record.port,
    verifier_ip: verifier.host,
    verifier_port: String(verifier.port),
    tpm_policy: JSON.stringify(policy.tpmPolicy),
    runtime_policy: policy.runtimePolicy ?? '',
    runtime_policy_name: null,
    runtime_policy_key: '',
    mb_policy: policy.measuredBootPolicy ?? null,
    mb_policy_name: null,
    ima_sign_verification_keys: '',
    metadata: '{}',
    revocation_key: '',
    accept_tpm_hash_algs: ['sha256', 'sha384', 'sha512'],
    accept_tpm_encryption_algs: ['rsa2048', 'rsa', 'ecc'],
    accept_tpm_signing_algs: ['rsassa', 'ecdsa'],
    ak_tpm: record.aik_tpm,
    mtls_cert: record.mtls_cert,
    supported_version: '2.6',
  }
}

/**
 * Words a verifier record for a person.
 *
 * @param record From the verifier.
 * @returns For instance "state 9, 12 passed quotes, last event pcr_validation.invalid_pcr_7".
 */
export function describeRecord(record: VerifierRecord): string {
  const event = record.last_event_id ? `, last event ${record.last_event_id}` : ''
  return `state ${record.operational_state}, ${record.attestation_count} passed quotes${event}`
}

function requireSuccess({ status, body }: HttpsAnswer, what: string): void {
  if (status === 200 || status === 202) return
  const said = typeof body === 'object' && body !== null && 'status' in body ? String(body.status) : ''
  throw new RigError(`cannot ${what}: keylime answered ${status} ${said}`.trimEnd())
}
