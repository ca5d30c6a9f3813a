/**
 * What an operator does at Keylime: reads records, enrols, stops, reactivates and removes agents, over mutual TLS with
 * the client certificate that the verifier made for its administrators.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'

/** What the registrar holds about an agent, as far as the rig uses it. */
export interface RegistrarEntry {
  readonly agent_id: string
  readonly aik_tpm: string
  readonly ek_tpm: string
  readonly ekcert: string | null
  readonly mtls_cert: string | null
  readonly ip: string
  readonly port: number
}

/** What the verifier says about an agent, as far as the rig uses it. */
export interface VerifierEntry {
  readonly operational_state: number
  readonly attestation_count: number
  readonly last_event_id: string | null
  readonly tpm_policy: string
}

/** The TPM policy to enrol with: `mask` names the PCRs of the quote, the other keys give a PCR's allowed values. */
export type TpmPolicy = Readonly<Record<string, string | readonly string[]>>

/** How to enrol. */
export interface EnrolOptions {
  /** Whether to wait for the first passed quote; default true. */
  readonly wait?: boolean
  /** Port the verifier polls; default: the registered one. */
  readonly port?: number
}

/** Keylime's two services, as an administrator reaches them. */
export interface KeylimeAdmin {
  /** Sends one request to the verifier; the path begins with "/". Never throws for a status. */
  verifier(method: string, path: string, body?: unknown): Promise<KeylimeAnswer>
  registrar(method: string, path: string, body?: unknown): Promise<KeylimeAnswer>
  /** The registrar's record, or `undefined` before registration. */
  registered(agentId: string): Promise<RegistrarEntry | undefined>
  /** The verifier's record, or `undefined` when it does not know the agent. */
  enrolled(agentId: string): Promise<VerifierEntry | undefined>
  /** Adds the agent to the verifier; resolves when its first quote has passed, or at once with `wait: false`. */
  enrol(agentId: string, policy: TpmPolicy, options?: EnrolOptions): Promise<void>
  stopAgent(agentId: string): Promise<void>
  /** Only for an agent in state 7 or 9: one that is polled already would be polled twice. */
  reactivate(agentId: string): Promise<void>
  /** Stops and removes the agent; resolves when the verifier no longer knows it. */
  unenrol(agentId: string): Promise<void>
  /** Waits for a state of the record. */
  waitFor(
    agentId: string,
    what: string,
    test: (entry: VerifierEntry) => boolean,
    deadlineMs?: number,
  ): Promise<VerifierEntry>
}

/** One answer of a Keylime service. */
export interface KeylimeAnswer {
  readonly status: number
  /** Parsed JSON, or `undefined` when the body was empty or something else. */
  readonly body: { readonly status?: string; readonly results?: unknown } | undefined
}

/** Where the services are, and the folder with the administrator's certificate. */
export interface KeylimeAdminOptions {
  readonly verifierPort: number
  readonly registrarTlsPort: number
  readonly caDir: string
  readonly verifierLog: string
}

const API = '/v2.5'
const STATE_TENANT_FAILED = 10

/**
 * Makes the administrator's client. Certificates are read at each call, so it may be made before they exist.
 *
 * @param options Ports and certificate folder.
 * @returns The client.
 */
export function newKeylimeAdmin(options: KeylimeAdminOptions): KeylimeAdmin {
  const ask = (port: number) => (method: string, path: string, body?: unknown) =>
    send({ port, caDir: options.caDir, method, path, body })
  const verifier = ask(options.verifierPort)
  const registrar = ask(options.registrarTlsPort)
  const registered = async (id: string): Promise<RegistrarEntry | undefined> =>
    resultsOr404(await registrar('GET', `${API}/agents/${id}`), 'registrar') as RegistrarEntry | undefined
  const enrolled = async (id: string): Promise<VerifierEntry | undefined> =>
    resultsOr404(await verifier('GET', `${API}/agents/${id}`), 'verifier') as VerifierEntry | undefined
  const waitFor: KeylimeAdmin['waitFor'] = (id, what, test, deadlineMs = 30_000) =>
    pollUntil(
      what,
      async () => {
        const entry = await enrolled(id)
        if (entry !== undefined && test(entry)) return entry
        throw new Error(entry === undefined ? 'the verifier does not know the agent' : describeEntry(entry))
      },
      { deadlineMs, logFile: options.verifierLog },
    )
  const put = async (id: string, verb: string): Promise<void> => {
    requireStatus(await verifier('PUT', `${API}/agents/${id}/${verb}`), [200], `${verb} agent ${id}`)
  }
  return {
    verifier,
    registrar,
    registered,
    enrolled,
    waitFor,
    stopAgent: (id) => put(id, 'stop'),
    reactivate: (id) => put(id, 'reactivate'),
    async enrol(id, policy, { wait = true, port } = {}) {
      const entry = await registered(id)
      if (entry === undefined) throw new RigError(`the registrar does not know agent ${id}, so it cannot be enrolled`)
      const answer = await verifier(
        'POST',
        `${API}/agents/${id}`,
        enrolment({ ...entry, port: port ?? entry.port }, policy, options),
      )
      requireStatus(answer, [200], `enrol agent ${id}`)
      if (wait) await waitFor(id, 'the first passed quote', (record) => record.attestation_count > 0)
    },
    async unenrol(id) {
      if ((await enrolled(id)) === undefined) return
      await put(id, 'stop')
      // Stopped first: a record deleted while a quote is in flight goes on being polled with its old policy.
      await waitFor(id, 'the verifier to stop polling', (record) => record.operational_state === STATE_TENANT_FAILED)
      requireStatus(await verifier('DELETE', `${API}/agents/${id}`), [200, 202], `remove agent ${id}`)
      const gone = async (): Promise<boolean> => (await enrolled(id)) === undefined
      await pollUntil('the verifier to forget the agent', gone, { logFile: options.verifierLog })
    },
  }
}

/** The body of `POST /agents/{id}`, with every key the handler reads. */
function enrolment(entry: RegistrarEntry, policy: TpmPolicy, options: KeylimeAdminOptions): unknown {
  return {
    v: null,
    cloudagent_ip: entry.ip,
    cloudagent_port: entry.port,
    verifier_ip: '127.0.0.1',
    verifier_port: String(options.verifierPort),
    tpm_policy: JSON.stringify(policy),
    runtime_policy: '',
    runtime_policy_name: null,
    runtime_policy_key: '',
    mb_policy: null,
    mb_policy_name: null,
    ima_sign_verification_keys: '',
    metadata: '{}',
    revocation_key: '',
    accept_tpm_hash_algs: ['sha256', 'sha384', 'sha512'],
    accept_tpm_encryption_algs: ['rsa2048', 'rsa', 'ecc'],
    accept_tpm_signing_algs: ['rsassa', 'ecdsa'],
    ak_tpm: entry.aik_tpm,
    mtls_cert: entry.mtls_cert,
    supported_version: '2.5',
  }
}

/**
 * Words a verifier record for a person.
 *
 * @param entry The record.
 * @returns For instance "state 9, 12 passed quotes, last event pcr_validation.invalid_pcr_7".
 */
export function describeEntry(entry: VerifierEntry): string {
  const event = entry.last_event_id ? `, last event ${entry.last_event_id}` : ''
  return `state ${entry.operational_state}, ${entry.attestation_count} passed quotes${event}`
}

function resultsOr404(answer: KeylimeAnswer, service: string): unknown {
  if (answer.status === 404) return undefined
  requireStatus(answer, [200], `read the ${service}'s record`)
  return answer.body?.results
}

function requireStatus(answer: KeylimeAnswer, wanted: readonly number[], what: string): void {
  if (wanted.includes(answer.status)) return
  throw new RigError(`cannot ${what}: keylime answered ${answer.status} ${answer.body?.status ?? ''}`.trimEnd())
}

interface Sending {
  readonly port: number
  readonly caDir: string
  readonly method: string
  readonly path: string
  readonly body: unknown
}

function send({ port, caDir, method, path, body }: Sending): Promise<KeylimeAnswer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        ca: readFileSync(join(caDir, 'cacert.crt')),
        cert: readFileSync(join(caDir, 'client-cert.crt')),
        key: readFileSync(join(caDir, 'client-private.pem')),
        agent: false,
        timeout: 15_000,
        headers:
          text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const answer = Buffer.concat(chunks).toString()
          resolve({ status: incoming.statusCode ?? 0, body: parseOrNothing(answer) })
        })
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer on port ${port} within 15 s`)))
    outgoing.on('error', reject)
    outgoing.end(text)
  })
}

function parseOrNothing(text: string): KeylimeAnswer['body'] {
  try {
    return JSON.parse(text) as KeylimeAnswer['body']
  } catch {
    return undefined
  }
}
