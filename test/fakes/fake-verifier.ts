// A Keylime verifier: real HTTPS, the real one's rules and answers, states set by the test, quotes really checked.
import {
  type FakeRequest,
  type FakeRoute,
  type FakeServer,
  type FakeServerOptions,
  type FakeTls,
  startFakeServer,
} from './fake-server.ts'
import type { FakeAnswer } from './faults.ts'
import { EMPTY_HTML, KEYLIME_RELEASES, type KeylimeRelease, splitVersion } from './keylime-release.ts'
import { type AttestationChanges, newPushAttestations } from './push-attestations.ts'
import { pythonJson } from './python-json.ts'
import { checkQuote } from './quote-check.ts'
import type { SoftwareTpm } from './software-tpm.ts'
import { agentChange, type Enrolled, policyRoute } from './verifier-admin.ts'
import { type AgentFields, renderAgent } from './verifier-agent.ts'

/** Measured on a real verifier with one worker: a read, an identity check, and one agent of a bulk read. */
export const REAL_SERVICE_MS = { agent: 2.6, identity: 2.9, bulkPerAgent: 0.4 } as const

/** Sets up a fake verifier. */
export interface FakeVerifierOptions extends Omit<FakeServerOptions, 'tls'> {
  /** Without `clientCertificates`, the release decides. */
  readonly tls?: Omit<FakeTls, 'clientCertificates'> & Partial<Pick<FakeTls, 'clientCertificates'>>
  /** Default 7.14.3. */
  readonly release?: KeylimeRelease
  /** API versions to list and answer, instead of the release's. */
  readonly versions?: readonly string[]
  /** `[verifier] mode = push`: agents are enrolled without an address, and their evidence comes to it. */
  readonly pushMode?: boolean
}

/** A running fake verifier. */
export interface FakeVerifier extends FakeServer {
  /** Enrols an agent, attested a second ago unless its fields say otherwise. */
  enrol(agentId: string, akTpm: Buffer, fields?: AgentFields): void
  /** Changes fields of an agent; a field set to undefined is left out of the answer. */
  set(agentId: string, fields: AgentFields): void
  /** Replaces the AK the verifier holds, as when it was enrolled before the TPM changed. */
  setAk(agentId: string, akTpm: Buffer): void
  remove(agentId: string): void
  /** Stores one more judged attestation of an agent, in push mode. */
  attest(agentId: string, tpm: SoftwareTpm, changes?: AttestationChanges): void
  /** Changes the API versions at once, as an upgrade or downgrade does. */
  setVersions(versions: readonly string[]): void
  /** Says valid to every quote, whatever it holds: the broken verifier that the self-check must find. */
  setGullible(isGullible: boolean): void
}

// @see the records of a real 7.14.3 in push mode: last event and severity stay null for ever.
const PUSH_FIELDS = {
  ip: null,
  port: null,
  hash_alg: '',
  enc_alg: '',
  sign_alg: '',
  attestation_period: '5s',
  maximum_attestation_interval: '25s',
} as const

const SUCCESS = { code: 200, status: 'Success' } as const

/** Starts a fake verifier. */
export async function startFakeVerifier(options: FakeVerifierOptions = {}): Promise<FakeVerifier> {
  const { now = Date.now } = options
  const facts = KEYLIME_RELEASES[options.release ?? '7.14.3']
  const agents = new Map<string, Enrolled>()
  const state = { agents, policies: new Map<string, string>() }
  let versions = options.versions ?? facts.versions
  let isGullible = false
  const isPush = options.pushMode ?? false
  const attestations = newPushAttestations(now)

  const render = (agent: Enrolled): Record<string, unknown> =>
    renderAgent(
      { ...(isPush && PUSH_FIELDS), ...agent.fields },
      { nowMs: now(), hasAttestationStatus: facts.hasAttestationStatus },
    )
  const known = (agentId: string, then: (agent: Enrolled) => object): FakeAnswer => {
    const agent = agents.get(agentId)
    return agent === undefined ? failure(404, 'agent id not found') : success(then(agent))
  }
  const identity = (query: URLSearchParams): FakeAnswer => {
    const last = (name: string): string => query.getAll(name).at(-1) ?? ''
    const missing = ['agent_uuid', 'quote', 'nonce', 'hash_alg'].find((name) => last(name) === '')
    if (missing !== undefined) return failure(400, `missing query parameter '${missing}'`)
    return known(last('agent_uuid'), ({ akTpm }) => {
      const ask = { quote: last('quote'), nonce: last('nonce'), hashAlg: last('hash_alg'), akTpm }
      return isGullible ? { valid: 1 } : checkQuote(ask)
    })
  }
  const list = (query: URLSearchParams): FakeAnswer => {
    if (!query.has('bulk')) return success({ uuids: [...agents.keys()].map((id) => [id]) })
    return success(Object.fromEntries([...agents].map(([id, agent]) => [id, render(agent)])))
  }
  const routeAgents = (request: FakeRequest, agentId: string | undefined, verb: string | undefined): FakeRoute => {
    if (agentId === undefined) {
      const isBulk = request.query.has('bulk')
      const serviceMs = isBulk ? REAL_SERVICE_MS.bulkPerAgent * agents.size : REAL_SERVICE_MS.agent
      return { endpoint: isBulk ? 'bulk' : 'agents', serviceMs, answer: () => list(request.query) }
    }
    const change = agentChange(state, request, agentId, verb)
    if (change !== undefined) return change
    return { endpoint: 'agent', serviceMs: REAL_SERVICE_MS.agent, answer: () => known(agentId, render) }
  }
  const route = (request: FakeRequest): FakeRoute => {
    if (/^\/versions?$/.test(request.path)) return versionRoute(isPush, versions)
    const split = splitVersion(request.path)
    if (split === undefined || !versions.includes(split.version)) {
      const isOld = facts.clientCertificates === 'required'
      const answer = isOld ? failure(400, 'API Version not supported') : { status: 404, ...EMPTY_HTML }
      return { endpoint: 'unsupported', answer: () => answer }
    }
    const [first, second, third, fourth] = split.parts
    const isV3 = split.version.startsWith('3')
    if (first === 'verify' && second === 'identity' && !isV3 && Number(split.version) >= 2.2) {
      const answer = (): FakeAnswer => identity(request.query)
      return { endpoint: 'identity', serviceMs: REAL_SERVICE_MS.identity, answer }
    }
    const found =
      first === 'agents' ? routeAgents(request, second, third) : policyRoute(state, request, first ?? '', second)
    if (found === undefined) return { endpoint: 'other', answer: () => ({ status: 404, ...EMPTY_HTML }) }
    if (request.clientName === undefined) return { ...found, answer: forbidden }
    if (isV3 && isPush && second !== undefined && third === 'attestations') return attestations.route(second, fourth)
    return isV3 ? { ...found, answer: () => ({ status: 500, ...EMPTY_HTML }) } : found
  }

  const clientCertificates = options.tls?.clientCertificates ?? facts.clientCertificates
  const { tls, ...rest } = options
  const server = await startFakeServer(
    { ...rest, ...(tls !== undefined && { tls: { ...tls, clientCertificates } }) },
    route,
  )
  const entry = (agentId: string): Enrolled => {
    const agent = agents.get(agentId)
    if (agent === undefined) throw new Error(`fake verifier does not know ${agentId}`)
    return agent
  }
  return {
    ...server,
    enrol: (agentId, akTpm, fields = {}) => {
      agents.set(agentId, { akTpm, fields })
    },
    set: (agentId, fields) => {
      const agent = entry(agentId)
      agent.fields = { ...agent.fields, ...fields }
    },
    setAk: (agentId, akTpm) => {
      entry(agentId).akTpm = akTpm
    },
    attest: (agentId, tpm, changes) => attestations.add(agentId, tpm, changes),
    remove: (agentId) => {
      agents.delete(agentId)
    },
    setVersions: (next) => {
      versions = next
    },
    setGullible: (next) => {
      isGullible = next
    },
  }
}

/** Makes the JSON:API refusal of a caller without a client certificate. */
export function forbidden(): FakeAnswer {
  const error = { status: '403', title: 'Forbidden', detail: 'Action read_agent requires authentication' }
  return { status: 403, contentType: 'application/json; charset=UTF-8', body: pythonJson({ errors: [error] }) }
}

function versionRoute(isPush: boolean, versions: readonly string[]): FakeRoute {
  const results = {
    current_version: versions.findLast((version) => version.startsWith('2')),
    supported_versions: versions,
  }
  return { endpoint: 'version', answer: () => (isPush ? failure(410, 'Gone') : success(results)) }
}

function success(results: object): FakeAnswer {
  return { status: 200, contentType: 'application/json', body: pythonJson({ ...SUCCESS, results }) }
}

function failure(code: number, status: string): FakeAnswer {
  return { status: code, contentType: 'application/json', body: pythonJson({ code, status, results: {} }) }
}
