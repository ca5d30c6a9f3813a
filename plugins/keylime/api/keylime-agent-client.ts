/**
 * The node's own Keylime agent: who it is, and its quote over a nonce.
 *
 * @module
 */
import * as v from 'valibot'
import { isKeylimeError, KeylimeError } from '../basis/errors.ts'
import { newFailure } from '../basis/failures.ts'
import { type AgentId, isAgentId } from '../basis/ids.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { isAtLeast } from './generation.ts'
import { type CallOptions, KeylimeApi } from './keylime-api.ts'
import { parseShape } from './shape.ts'
import { V2 } from './v2/generation.ts'
import { API_VERSIONS, type ApiVersion } from './v2/versions.ts'

/** A Keylime agent's word of itself. */
export interface AgentInfo {
  readonly agentId: AgentId
  /** Such as `sha256`. */
  readonly hashAlg: string
}

/** An identity quote as the agent sends it. */
export interface IdentityQuote {
  /** Keylime's quote string. */
  readonly quote: string
  readonly hashAlg: string
  /** PEM of the agent's payload key, which PCR 16 binds to the quote. */
  readonly pubkey?: string
}

const hashAlg = v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,32}$/, 'the name of a hash algorithm'))
const INFO = v.object({
  agent_uuid: v.pipe(v.string(), v.check(isAgentId, 'a usable agent id')),
  tpm_hash_alg: hashAlg,
})
const QUOTE = v.object({
  quote: v.pipe(v.string(), v.nonEmpty('a quote')),
  hash_alg: hashAlg,
  pubkey: v.nullish(v.string()),
})

/** An integrity quote as the agent sends it: nothing of it is proved yet. */
export interface IntegrityQuote extends IdentityQuote {
  /** The boot log in TCG's crypto-agile form; absent when the mask lacks PCR 0 or the node has none. */
  readonly bootLog?: Buffer
}

const INTEGRITY = v.object({
  ...QUOTE.entries,
  mb_measurement_list: v.nullish(v.string()),
})

// A boot log of a server takes some 100 KiB; the IMA list comes only with PCR 10.
const MAX_INTEGRITY_BYTES = 8 * 1024 * 1024

/** Client of one Keylime agent. */
export class KeylimeAgentClient {
  readonly #api: KeylimeApi<ApiVersion>

  /** @param origin The agent, over TLS with a client certificate from its `trusted_client_ca`, or plain HTTP. */
  constructor(origin: HttpsOrigin) {
    this.#api = new KeylimeApi(origin, V2)
  }

  /** The agent in the words of messages, such as `keylime agent 127.0.0.1:9002`. */
  get name(): string {
    return this.#api.name
  }

  /**
   * Tells whether the agent can say who it is.
   *
   * @param options `signal`: the caller's.
   * @returns False for API 2.1, which has no `/agent/info`: then the ID must be configured.
   * @throws {KeylimeError} As {@link KeylimeApi.version}.
   */
  async hasInfo(options: CallOptions = {}): Promise<boolean> {
    return isAtLeast(API_VERSIONS, await this.#api.version(options.signal), '2.2')
  }

  /**
   * Asks the agent who it is.
   *
   * @param options `signal`: the caller's.
   * @returns ID and hash algorithm.
   * @throws {KeylimeError} `KEYLIME_API_UNSUPPORTED`: the agent speaks 2.1. Others as {@link KeylimeApi.call}.
   * @see rust-keylime 3a4d5654, keylime-agent/src/agent_handler.rs
   */
  async getInfo(options: CallOptions = {}): Promise<AgentInfo> {
    const { results } = await this.#api.call({
      path: '/agent/info',
      signal: options.signal,
      operation: 'get_info',
      about: 'its identity',
      least: '2.2',
    })
    const read = parseShape(INFO, results, this.name, 'description of itself')
    if (!isAgentId(read.agent_uuid)) throw newFailure('answer-shape', `${this.name} has an id that is not usable`)
    return { agentId: read.agent_uuid, hashAlg: read.tpm_hash_alg }
  }

  /**
   * Has the agent's TPM quote a nonce.
   *
   * @param nonce 1 to 64 ASCII letters and digits.
   * @param options `signal`: the caller's.
   * @returns The quote, unchecked.
   * @throws {KeylimeError} As {@link KeylimeApi.call}, never with the nonce; its refusal is `KEYLIME_BAD_RESPONSE`.
   * @see rust-keylime 3a4d5654, keylime-agent/src/quotes_handler.rs
   */
  async getIdentityQuote(nonce: string, options: CallOptions = {}): Promise<IdentityQuote> {
    try {
      const { results } = await this.#api.call({
        path: `/quotes/identity?nonce=${encodeURIComponent(nonce)}`,
        signal: options.signal,
        operation: 'get_identity_quote',
        about: 'an identity quote',
      })
      const read = parseShape(QUOTE, results, this.name, 'quote')
      return {
        quote: read.quote,
        hashAlg: read.hash_alg,
        ...(typeof read.pubkey === 'string' && { pubkey: read.pubkey }),
      }
    } catch (error) {
      // The agent repeats the nonce in its complaint, and a nonce stays out of logs.
      if (isKeylimeError(error) && error.message.includes(nonce)) {
        throw new KeylimeError(error.code, error.message.replaceAll(nonce, '(nonce)'), { facts: error.facts })
      }
      throw error
    }
  }

  /**
   * Has the agent's TPM quote a nonce and the PCRs of a mask.
   *
   * @param nonce 1 to 64 ASCII letters and digits.
   * @param mask Bit n: PCR n; without PCR 10, whose list is long.
   * @param options `signal`: the caller's.
   * @returns The quote, unchecked, and the boot log when PCR 0 is in the mask.
   * @throws {KeylimeError} As {@link KeylimeApi.call}, never with the nonce.
   * @see rust-keylime 3a4d5654, keylime-agent/src/quotes_handler.rs, `integrity`
   */
  async getIntegrityQuote(nonce: string, mask: number, options: CallOptions = {}): Promise<IntegrityQuote> {
    const query = `nonce=${encodeURIComponent(nonce)}&mask=0x${mask.toString(16)}&partial=1`
    const { results } = await this.#api.call({
      path: `/quotes/integrity?${query}`,
      signal: options.signal,
      operation: 'get_integrity_quote',
      about: 'an integrity quote',
      maxBodyBytes: MAX_INTEGRITY_BYTES,
    })
    const read = parseShape(INTEGRITY, results, this.name, 'quote')
    const log = read.mb_measurement_list
    return {
      quote: read.quote,
      hashAlg: read.hash_alg,
      ...(typeof log === 'string' && log !== '' && { bootLog: Buffer.from(log, 'base64') }),
    }
  }
}
