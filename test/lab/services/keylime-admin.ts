/**
 * What an operator does at Keylime, by the product's own clients: reads records, enrols, stops, reactivates, removes.
 *
 * @module
 */
import { type AgentId, agentState, isKeylimeError, parseAgentId, stateInWords } from '@tower-of-omens/keylime'
import {
  type Enrolment,
  RegistrarAdmin,
  type Registration,
  unenrol,
  VerifierAdmin,
} from '@tower-of-omens/keylime/admin'
import { type AgentRecord, VerifierClient } from '@tower-of-omens/keylime/api'
import { HttpsOrigin } from '@tower-of-omens/keylime/https'
import { loadTlsFiles } from '@tower-of-omens/keylime/tls-files'
import { RigError } from '../processes/errors.ts'
import { connectThrough } from '../processes/https.ts'
import { pollUntil } from '../processes/poll.ts'

/** What to enrol an agent with. */
export type EnrolmentPolicy = Pick<Enrolment, 'tpmPolicy' | 'runtimePolicy' | 'measuredBootPolicy'>

/** One of the two services. */
export type KeylimeService = 'verifier' | 'registrar'

/** Where the services are, and the administrator's files. */
export interface KeylimeAdminOptions {
  readonly services: Readonly<Record<KeylimeService, { readonly host: string; readonly port: number }>>
  /** Unix socket of a portal into their network; default: this host's own. */
  readonly portal?: string
  /** PEM files, read at each call: they may not exist yet, and they are renewed. */
  readonly files: { readonly caFile: string; readonly certFile: string; readonly keyFile: string }
}

const REQUEST_MS = 15_000
const UNENROL_MS = 30_000

/** Keylime's two services, as an administrator reaches them. */
export class KeylimeAdmin {
  readonly #options: KeylimeAdminOptions

  /** @param options Services, portal, certificate files. */
  constructor(options: KeylimeAdminOptions) {
    this.#options = options
  }

  /** Lists the agents that a service knows: whoever answers this is up. */
  agentIds(service: KeylimeService): Promise<readonly AgentId[]> {
    return this.#at(service, (origin) => new VerifierClient(origin).getAgentIds())
  }

  /** Reads the registrar's record; `undefined` before registration. */
  registered(id: string): Promise<Registration | undefined> {
    return known(this.#at('registrar', (origin) => new RegistrarAdmin(origin).getRegistration(parseAgentId(id))))
  }

  /** Reads the verifier's record; `undefined` when it does not know the agent. */
  enrolled(id: string): Promise<AgentRecord | undefined> {
    return known(this.#at('verifier', (origin) => new VerifierClient(origin).getAgent(parseAgentId(id))))
  }

  /**
   * Adds an agent to the verifier: after {@link unenrol}, because a record that is replaced while polled is polled twice.
   *
   * @param contact Where the verifier finds it; default: where it registered from.
   * @throws {RigError} It is not registered.
   * @throws {KeylimeError} The verifier refuses.
   */
  async enrol(id: string, policy: EnrolmentPolicy, contact: Enrolment['contact'] = {}): Promise<void> {
    const registration = await this.registered(id)
    if (registration === undefined) throw new RigError(`the registrar does not know agent ${id}: is its agent up?`)
    const enrolment = { ...policy, registration, contact, verifier: this.#options.services.verifier }
    await this.#command((admin) => admin.enrol(parseAgentId(id), enrolment))
  }

  /** Stops polling an agent. */
  stopAgent(id: string): Promise<void> {
    return this.#command((admin) => admin.stop(parseAgentId(id)))
  }

  /** Begins anew with an agent in state 7 or 9: one that is polled already would be polled twice. */
  reactivate(id: string): Promise<void> {
    return this.#command((admin) => admin.reactivate(parseAgentId(id)))
  }

  /** Stops and removes an agent; resolves when the verifier no longer knows it. */
  async unenrol(id: string): Promise<void> {
    const signal = AbortSignal.timeout(UNENROL_MS)
    await this.#at('verifier', (origin) =>
      unenrol(parseAgentId(id), { verifier: new VerifierClient(origin), admin: new VerifierAdmin(origin), signal }),
    )
  }

  /** Removes a registration. */
  async unregister(id: string): Promise<void> {
    await this.#at('registrar', (origin) => new RegistrarAdmin(origin).delete(parseAgentId(id)))
  }

  /** Waits until the verifier's record satisfies a test. */
  waitFor(id: string, what: string, test: (record: AgentRecord) => boolean, deadlineMs = 30_000): Promise<AgentRecord> {
    const look = async (): Promise<AgentRecord> => {
      const record = await this.enrolled(id)
      if (record !== undefined && test(record)) return record
      throw new Error(record === undefined ? 'the verifier does not know the agent' : describeRecord(record))
    }
    return pollUntil(what, look, { deadlineMs })
  }

  /** Waits until an agent's state means this. */
  waitForState(id: string, meaning: StateMeaning, deadlineMs?: number): Promise<AgentRecord> {
    return this.waitFor(id, `agent ${id} to be ${meaning}`, (record) => meaningOf(record) === meaning, deadlineMs)
  }

  /** Waits until an agent has passed more quotes than these. */
  waitForQuotes(id: string, more = 0): Promise<AgentRecord> {
    return this.waitFor(id, `more than ${more} passed quotes of agent ${id}`, (record) => quotesOf(record) > more)
  }

  #command(act: (admin: VerifierAdmin) => Promise<void>): Promise<void> {
    return this.#at('verifier', (origin) => act(new VerifierAdmin(origin)))
  }

  async #at<T>(service: KeylimeService, use: (origin: HttpsOrigin) => Promise<T>): Promise<T> {
    const { services, portal, files } = this.#options
    const { material, problems } = loadTlsFiles(files)
    if (material === undefined) throw new RigError(problems.join('; '))
    const origin = new HttpsOrigin({
      role: `keylime ${service}`,
      ...services[service],
      tls: { current: () => material, recheck: () => material },
      ...(portal === undefined ? {} : { dial: ({ host, port }) => connectThrough(portal, host, port) }),
      timeoutMs: REQUEST_MS,
    })
    try {
      return await use(origin)
    } finally {
      await origin.close()
    }
  }
}

async function known<T>(record: Promise<T>): Promise<T | undefined> {
  try {
    return await record
  } catch (error) {
    if (isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) return undefined
    throw error
  }
}

/** What the state of an agent means, as the product reads it. */
export type StateMeaning = NonNullable<ReturnType<typeof agentState>>['meaning']

/** Reads what the state of an agent means; `undefined` for one that is not enrolled. */
export function meaningOf(record: AgentRecord | undefined): StateMeaning | undefined {
  return agentState(record?.operationalState ?? null)?.meaning
}

/** Counts the quotes that have passed. */
export function quotesOf(record: AgentRecord | undefined): number {
  return record?.attestationCount ?? 0
}

/**
 * Words a verifier record for a person.
 *
 * @returns For instance "state 9 INVALID_QUOTE, 12 passed quotes, last event pcr_validation.invalid_pcr_7".
 */
export function describeRecord(record: AgentRecord): string {
  const event = record.lastEventId === undefined ? '' : `, last event ${record.lastEventId}`
  return `state ${stateInWords(record.operationalState)}, ${quotesOf(record)} passed quotes${event}`
}
