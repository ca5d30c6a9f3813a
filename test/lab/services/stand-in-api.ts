/**
 * The pull agent's REST API as the stand-in serves it: paths, checks and shapes of the Rust agent's API 2.1 to 2.6.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import type { StandInTpm } from './stand-in-tpm.ts'

/** The agent behind the API. */
export interface StandInAgent {
  readonly agentId: string
  readonly tpm: StandInTpm
  /** PEM of the payload key's public half, which every quote binds through PCR 16. */
  readonly publicKeyPem: string
  /** IMA list, when there is one. */
  readonly imaListFile?: string | undefined
  /** Firmware event log, when there is one. */
  readonly bootLogFile?: string | undefined
}

/** One answer: status code, and the `status` and `results` of Keylime's envelope. */
export interface StandInAnswer {
  readonly code: number
  readonly status: string
  readonly results: Readonly<Record<string, unknown>>
}

/** What the API calls itself, newest last. */
export const STAND_IN_API_VERSIONS: readonly string[] = ['2.1', '2.2', '2.3', '2.4', '2.5', '2.6']

const MAX_NONCE_BYTES = 64
const IMA_PCR = 10

/**
 * Answers one request.
 *
 * @returns The answer; a TPM that fails gives 500 "Unable to retrieve quote".
 * @see rust-keylime 3a4d5654, keylime-agent/src/quotes_handler.rs, agent_handler.rs, errors_handler.rs
 */
export async function answerStandIn(agent: StandInAgent, method: string, url: string): Promise<StandInAnswer> {
  const { pathname, searchParams } = new URL(url, 'https://agent.invalid')
  if (pathname === '/version') {
    return ok({ supported_version: STAND_IN_API_VERSIONS.at(-1), supported_versions: STAND_IN_API_VERSIONS })
  }
  const [, version, path] = /^\/v([\d.]+)(\/.*)$/.exec(pathname) ?? []
  if (version === undefined) return refuse(400, 'Not Implemented: Use /v2.6 or /version interfaces')
  if (!STAND_IN_API_VERSIONS.includes(version)) return refuse(400, `API version not supported: v${version}`)
  if (method !== 'GET') return refuse(405, 'Method is not supported')
  const algorithms = { hash_alg: 'sha256', enc_alg: version < '2.5' ? 'rsa' : 'rsa2048', sign_alg: 'rsassa' }
  if (path === '/agent/info' && version !== '2.1') {
    return ok({
      agent_uuid: agent.agentId,
      tpm_hash_alg: algorithms.hash_alg,
      tpm_enc_alg: algorithms.enc_alg,
      tpm_sign_alg: algorithms.sign_alg,
      ak_handle: agent.tpm.akHandle,
    })
  }
  if (path === '/quotes/identity' || path === '/quotes/integrity') {
    return quote(agent, searchParams, path === '/quotes/integrity', algorithms)
  }
  return refuse(400, 'Not Implemented: Use /agent, /keys, or /quotes interfaces')
}

async function quote(
  agent: StandInAgent,
  query: URLSearchParams,
  integrity: boolean,
  algorithms: Readonly<Record<string, string>>,
): Promise<StandInAnswer> {
  const nonce = query.get('nonce')
  if (nonce === null) return refuse(400, 'Query deserialize error: missing field `nonce`')
  if (!/^[\p{L}\p{N}]*$/u.test(nonce)) return refuse(400, `Parameters should be strictly alphanumeric: ${nonce}`)
  if (Buffer.byteLength(nonce) > MAX_NONCE_BYTES) {
    return refuse(400, `Nonce is too long (max size ${MAX_NONCE_BYTES}): ${nonce}`)
  }
  let mask = 0
  let withKey = true
  if (integrity) {
    const maskText = query.get('mask') ?? ''
    if (!/^(0x)?[0-9a-f]{1,8}$/i.test(maskText)) {
      return refuse(400, `mask should be a hex encoded 32-bit integer: ${maskText}`)
    }
    mask = Number.parseInt(maskText.replace(/^0x/i, ''), 16)
    const partial = query.get('partial')
    if (partial !== '0' && partial !== '1') return refuse(400, "uri must contain key 'partial' and value '0' or '1'")
    withKey = partial === '0'
  }
  try {
    const text = await agent.tpm.quote(nonce, mask, agent.publicKeyPem)
    const key = withKey ? { pubkey: agent.publicKeyPem } : {}
    return ok({ quote: text, ...algorithms, ...key, ...(integrity ? measurements(agent, mask, query) : {}) })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return refuse(500, 'Unable to retrieve quote')
  }
}

/** Adds the lists behind the quoted PCRs; the IMA list from the entry on that the verifier asks for. */
function measurements(agent: StandInAgent, mask: number, query: URLSearchParams): Readonly<Record<string, unknown>> {
  const { imaListFile, bootLogFile } = agent
  const results: Record<string, unknown> = {}
  if (imaListFile !== undefined && (mask & (1 << IMA_PCR)) !== 0) {
    const lines = readFileSync(imaListFile, 'utf8').split('\n').slice(0, -1)
    const asked = Number(query.get('ima_ml_entry') ?? 0)
    const first = asked > lines.length ? 0 : asked
    results.ima_measurement_list = lines
      .slice(first)
      .map((line) => `${line}\n`)
      .join('')
    results.ima_measurement_list_entry = first
  }
  if (bootLogFile !== undefined && (mask & 1) !== 0) {
    results.mb_measurement_list = readFileSync(bootLogFile).toString('base64')
  }
  return results
}

function ok(results: Readonly<Record<string, unknown>>): StandInAnswer {
  return { code: 200, status: 'Success', results }
}

function refuse(code: number, status: string): StandInAnswer {
  return { code, status, results: {} }
}
