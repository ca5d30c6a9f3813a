// A Keylime registrar's TLS side: records of registered agents, read with a client certificate.
import {
  type FakeRequest,
  type FakeRoute,
  type FakeServer,
  type FakeServerOptions,
  startFakeServer,
} from './fake-server.ts'
import { forbidden } from './fake-verifier.ts'
import type { FakeAnswer } from './faults.ts'
import { EMPTY_HTML, KEYLIME_RELEASES, type KeylimeRelease, splitVersion } from './keylime-release.ts'
import { indentedPythonJson } from './python-json.ts'

/** A registrar's record by its wire names, in the real one's order. */
export interface RegisteredAgent {
  readonly agent_id: string
  readonly ek_tpm: string
  readonly ekcert: string | null
  readonly aik_tpm: string
  readonly ip: string | null
  readonly port: number | null
  readonly mtls_cert: string | null
  readonly regcount: number
}

/** Sets up a fake registrar. */
export interface FakeRegistrarOptions extends FakeServerOptions {
  /** Default 7.14.3. */
  readonly release?: KeylimeRelease
  readonly versions?: readonly string[]
}

/** A running fake registrar. */
export interface FakeRegistrar extends FakeServer {
  /** Registers an agent under its ID; fields left out are those of a local agent without EK certificate. */
  register(agent: Pick<RegisteredAgent, 'agent_id' | 'ek_tpm' | 'aik_tpm'> & Partial<RegisteredAgent>): void
  remove(agentId: string): void
  setVersions(versions: readonly string[]): void
}

/** Starts a fake registrar. */
export async function startFakeRegistrar(options: FakeRegistrarOptions = {}): Promise<FakeRegistrar> {
  const agents = new Map<string, RegisteredAgent>()
  const facts = KEYLIME_RELEASES[options.release ?? '7.14.3']
  let versions = options.versions ?? facts.versions

  const read = (agentId: string): FakeAnswer => {
    const agent = agents.get(agentId)
    if (agent === undefined) return failure(404, `Agent with ID '${agentId}' not found`)
    const { agent_id: _, ...nameless } = agent
    return success(facts.hasNamedRecords ? agent : nameless)
  }
  const route = (request: FakeRequest): FakeRoute => {
    if (/^\/versions?$/.test(request.path)) {
      const current = versions.findLast((version) => version.startsWith('2'))
      const answer = (): FakeAnswer =>
        facts.hasNamedRecords
          ? success({ current_version: current, supported_versions: versions })
          : failure(400, 'API version not supported')
      return { endpoint: 'version', answer }
    }
    const split = splitVersion(request.path)
    const [first, agentId] = split?.parts ?? []
    if (split === undefined || !versions.includes(split.version) || first !== 'agents') {
      return { endpoint: 'other', answer: () => ({ status: 404, ...EMPTY_HTML }) }
    }
    const endpoint = agentId === undefined ? 'agents' : 'agent'
    const serviceMs = 1.4
    if (request.clientName === undefined) return { endpoint, serviceMs, answer: forbidden }
    if (request.method === 'DELETE' && agentId !== undefined) {
      const gone = (): FakeAnswer => (agents.delete(agentId) ? success({}) : failure(404, `agent ${agentId} not found`))
      return { endpoint: 'delete', serviceMs, answer: gone }
    }
    if (split.version.startsWith('3')) return { endpoint, serviceMs, answer: () => ({ status: 500, ...EMPTY_HTML }) }
    const answer = (): FakeAnswer => (agentId === undefined ? success({ uuids: [...agents.keys()] }) : read(agentId))
    return { endpoint, serviceMs, answer }
  }

  const server = await startFakeServer(options, route)
  return {
    ...server,
    register: (agent) => {
      const { agent_id, ek_tpm, ekcert = null, aik_tpm, ip = '127.0.0.1', port = 9002, mtls_cert = null } = agent
      const regcount = agent.regcount ?? 1
      agents.set(agent_id, { agent_id, ek_tpm, ekcert, aik_tpm, ip, port, mtls_cert, regcount })
    },
    remove: (agentId) => {
      agents.delete(agentId)
    },
    setVersions: (next) => {
      versions = next
    },
  }
}

function success(results: object): FakeAnswer {
  const body = indentedPythonJson({ code: 200, status: 'Success', results })
  return { status: 200, contentType: 'application/json', body }
}

function failure(code: number, status: string): FakeAnswer {
  return { status: code, contentType: 'application/json', body: indentedPythonJson({ code, status, results: {} }) }
}
