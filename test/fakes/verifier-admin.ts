// What an administrator changes at a fake verifier: agents enrolled, stopped, reactivated, deleted, and named policies.
import type { FakeRequest, FakeRoute } from './fake-server.ts'
import type { FakeAnswer } from './faults.ts'
import { pythonJson } from './python-json.ts'
import type { AgentFields } from './verifier-agent.ts'

/** An agent as a fake verifier keeps it. */
export interface Enrolled {
  akTpm: Buffer
  fields: AgentFields
}

/** What the administrator's requests change. */
export interface AdminState {
  readonly agents: Map<string, Enrolled>
  /** Runtime policies and measured-boot references by folder and name. */
  readonly policies: Map<string, string>
}

const FOLDERS: Readonly<Record<string, { readonly names: string; readonly text: string }>> = {
  allowlists: { names: 'runtimepolicy names', text: 'runtime_policy' },
  mbpolicies: { names: 'mbpolicy names', text: 'mb_policy' },
}

// A new agent is in state 1 until its first quote, and has never attested.
const STARTED = { operational_state: 1, attestation_count: 0, last_received_quote: 0, last_successful_attestation: 0 }

/**
 * Finds the answer to a request that changes an agent.
 * @param verb `stop`, `reactivate`, or nothing.
 * @returns The route; undefined for a request that changes nothing.
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `AgentsHandler`
 */
export function agentChange(
  { agents, policies }: AdminState,
  request: FakeRequest,
  agentId: string,
  verb: string | undefined,
): FakeRoute | undefined {
  const setState = (state: number): FakeAnswer => {
    const agent = agents.get(agentId)
    if (agent === undefined) return failure(400, 'Exception error: No row was found when one was required')
    agent.fields = { ...agent.fields, operational_state: state }
    return success({})
  }
  switch (`${request.method} ${verb ?? ''}`) {
    case 'PUT stop':
      return route('stop', () => setState(10))
    case 'PUT reactivate':
      // State 10 is never left, and the answer is 200 all the same.
      return route('reactivate', () => setState(agents.get(agentId)?.fields['operational_state'] === 10 ? 10 : 1))
    case 'DELETE ':
      return route('delete', () => (agents.delete(agentId) ? success({}) : failure(404, 'agent id not found')))
    case 'POST ':
      return route('enrol', () => {
        if (agents.has(agentId)) return failure(409, `Agent of uuid ${agentId} already exists`)
        const asked = JSON.parse(request.body) as Readonly<Record<string, unknown>>
        const missing = ['tpm_policy', 'ak_tpm', 'runtime_policy', 'mb_policy'].find((key) => !(key in asked))
        if (missing !== undefined) return failure(400, `Exception error: '${missing}'`)
        if (!asked['mtls_cert']) return failure(400, 'mTLS certificate for agent is required!')
        const named = asked['runtime_policy_name']
        if (typeof named === 'string' && !policies.has(`allowlists/${named}`)) {
          return failure(404, `Could not find runtime policy with name ${named}!`)
        }
        agents.set(agentId, enrolledBy(asked))
        return success({})
      })
    default:
      return undefined
  }
}

function enrolledBy(asked: Readonly<Record<string, unknown>>): Enrolled {
  const hasPolicy = Boolean(asked['runtime_policy']) || asked['runtime_policy_name'] !== null
  return {
    akTpm: Buffer.from(String(asked['ak_tpm']), 'base64'),
    fields: {
      ...STARTED,
      ip: asked['cloudagent_ip'],
      port: asked['cloudagent_port'],
      tpm_policy: asked['tpm_policy'],
      meta_data: asked['metadata'],
      has_runtime_policy: hasPolicy ? 1 : 0,
      has_mb_refstate: asked['mb_policy'] === null && asked['mb_policy_name'] === null ? 0 : 1,
      accept_tpm_hash_algs: asked['accept_tpm_hash_algs'],
      accept_tpm_encryption_algs: asked['accept_tpm_encryption_algs'],
      accept_tpm_signing_algs: asked['accept_tpm_signing_algs'],
    },
  }
}

function route(endpoint: string, answer: () => FakeAnswer): FakeRoute {
  return { endpoint, serviceMs: 2.6, answer }
}

/**
 * Finds the answer to a request about named policies.
 * @param folder `allowlists` or `mbpolicies`.
 * @returns The route; undefined for other folders.
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `AllowlistHandler`, `MbpolicyHandler`
 */
export function policyRoute(
  { policies }: AdminState,
  request: FakeRequest,
  folder: string,
  name: string | undefined,
): FakeRoute | undefined {
  const keys = FOLDERS[folder]
  if (keys === undefined) return undefined
  const answer = (): FakeAnswer => {
    if (name === undefined) {
      const inFolder = [...policies.keys()].filter((key) => key.startsWith(`${folder}/`))
      return success({ [keys.names]: inFolder.map((key) => key.slice(folder.length + 1)) })
    }
    return policyAnswer(policies, request, { key: `${folder}/${name}`, name, textKey: keys.text })
  }
  return { endpoint: folder, answer }
}

function policyAnswer(
  policies: Map<string, string>,
  request: FakeRequest,
  { key, name, textKey }: { readonly key: string; readonly name: string; readonly textKey: string },
): FakeAnswer {
  const isThere = policies.has(key)
  if (request.method === 'GET') {
    return isThere ? success({ name, [textKey]: policies.get(key) }) : failure(404, `policy ${name} not found`)
  }
  if (request.method === 'DELETE') {
    if (!policies.delete(key)) return failure(404, `policy ${name} not found`)
    return { status: 204, contentType: 'application/json', body: '' }
  }
  if (request.method === 'POST' && isThere) return failure(409, `policy with name ${name} already exists`)
  // A missing measured-boot reference is a conflict, a missing runtime policy is not found.
  if (request.method === 'PUT' && !isThere) {
    return failure(textKey === 'mb_policy' ? 409 : 404, `policy with name ${name} does not already exist`)
  }
  const sent = String((JSON.parse(request.body) as Readonly<Record<string, unknown>>)[textKey])
  policies.set(key, textKey === 'runtime_policy' ? Buffer.from(sent, 'base64').toString() : sent)
  return { status: 201, contentType: 'application/json', body: pythonJson({ code: 201, status: '', results: {} }) }
}

function success(results: object): FakeAnswer {
  return { status: 200, contentType: 'application/json', body: pythonJson({ code: 200, status: 'Success', results }) }
}

function failure(code: number, status: string): FakeAnswer {
  return { status: code, contentType: 'application/json', body: pythonJson({ code, status, results: {} }) }
}
