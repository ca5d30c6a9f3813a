// A Keylime agent: mutual TLS on everything, real quotes from a software TPM, the Rust agent's answers.
import {
  type FakeRequest,
  type FakeRoute,
  type FakeServer,
  type FakeServerOptions,
  startFakeServer,
} from './fake-server.ts'
import type { FakeAnswer } from './faults.ts'
import { splitVersion } from './keylime-release.ts'
import type { QuoteKnobs, SoftwareTpm } from './software-tpm.ts'

const ALL_VERSIONS = ['2.1', '2.2', '2.3', '2.4', '2.5', '2.6']
const NONCE_BYTES_MAX = 64

/** Sets up a fake agent. */
export interface FakeAgentOptions extends FakeServerOptions {
  readonly agentId: string
  readonly tpm: SoftwareTpm
  /** Default 2.1 to 2.6. */
  readonly versions?: readonly string[]
}

/** A running fake agent. */
export interface FakeAgent extends FakeServer {
  readonly agentId: string
  readonly tpm: SoftwareTpm
  /** Makes all further quotes wrong; `{}` makes them right again. */
  setQuoteKnobs(knobs: QuoteKnobs): void
  /** Claims another ID from now on. */
  setAgentId(agentId: string): void
  setVersions(versions: readonly string[]): void
}

/**
 * Starts a fake agent.
 * @param options Its ID and TPM; certificates, or none for plain HTTP (`enable_agent_mtls = false`).
 */
export async function startFakeAgent(options: FakeAgentOptions): Promise<FakeAgent> {
  const { tpm } = options
  let { agentId, versions = ALL_VERSIONS } = options
  let knobs: QuoteKnobs = {}
  const isRsa = tpm.ak.privateKey.asymmetricKeyType === 'rsa'
  const bits = tpm.ak.kind.replace(/^.*?(\d+)$/, '$1')
  const encAlg = (version: string): string => {
    const family = isRsa ? 'rsa' : 'ecc'
    return Number(version) >= 2.5 ? family + bits : family
  }
  const signAlg = isRsa ? 'rsassa' : 'ecdsa'

  const identityQuote = (version: string, query: URLSearchParams): FakeAnswer => {
    const nonce = query.get('nonce')
    if (nonce === null) return failure(400, 'Query deserialize error: missing field `nonce`')
    if (!/^[\p{L}\p{N}]*$/u.test(nonce)) return failure(400, `Parameters should be strictly alphanumeric: ${nonce}`)
    if (Buffer.byteLength(nonce) > NONCE_BYTES_MAX) {
      return failure(400, `Nonce is too long (max size ${NONCE_BYTES_MAX}): ${nonce}`)
    }
    const quote = tpm.quote(nonce, knobs)
    const algorithms = { hash_alg: tpm.hash, enc_alg: encAlg(version), sign_alg: signAlg }
    return success({ quote, ...algorithms, pubkey: tpm.payloadPem })
  }
  const info = (version: string): FakeAnswer =>
    success({
      agent_uuid: agentId,
      tpm_hash_alg: tpm.hash,
      tpm_enc_alg: encAlg(version),
      tpm_sign_alg: signAlg,
      ak_handle: 1_078_035_605,
    })
  const route = (request: FakeRequest): FakeRoute => {
    if (request.path === '/version') {
      const results = { supported_version: versions.at(-1), supported_versions: versions }
      return { endpoint: 'version', answer: () => success(results) }
    }
    const split = splitVersion(request.path)
    if (split !== undefined && !versions.includes(split.version)) {
      const answer = (): FakeAnswer => failure(400, `API version not supported: v${split.version}`)
      return { endpoint: 'unsupported', answer }
    }
    const place = split?.parts.join('/')
    const version = split?.version ?? ''
    if (place === 'agent/info' && Number(version) >= 2.2) return { endpoint: 'info', answer: () => info(version) }
    if (place === 'quotes/identity') {
      return { endpoint: 'quote', answer: () => identityQuote(version, request.query) }
    }
    return { endpoint: 'other', answer: notImplemented }
  }

  const server = await startFakeServer(options, route)
  return {
    ...server,
    get agentId() {
      return agentId
    },
    tpm,
    setQuoteKnobs: (next) => {
      knobs = next
    },
    setAgentId: (next) => {
      agentId = next
    },
    setVersions: (next) => {
      versions = next
    },
  }
}

function notImplemented(): FakeAnswer {
  return failure(400, 'Not Implemented: Use /agent, /keys, or /quotes interfaces')
}

function success(results: object): FakeAnswer {
  return {
    status: 200,
    contentType: 'application/json',
    body: JSON.stringify({ code: 200, status: 'Success', results }),
  }
}

function failure(code: number, status: string): FakeAnswer {
  return { status: code, contentType: 'application/json', body: JSON.stringify({ code, status, results: {} }) }
}
