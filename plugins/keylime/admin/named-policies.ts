/**
 * Policies that a verifier keeps by name: runtime (IMA) policies, and measured-boot references.
 *
 * @module
 */
import * as v from 'valibot'
import type { CallOptions, KeylimeApi } from '../api/keylime-api.ts'
import { parseShape } from '../api/shape.ts'
import type { ApiVersion } from '../api/v2/versions.ts'
import type { HttpMethod } from '../https/http-request.ts'

/** One policy. */
export interface NamedPolicy {
  readonly name: string
  /** Its JSON text. */
  readonly text: string
}

/** The policies of one kind at one verifier; every method takes the caller's signal and throws as the API's calls. */
export interface NamedPolicies {
  /** Lists the names. */
  list(options?: CallOptions): Promise<readonly string[]>
  /** Reads one; a `KeylimeError` of reason `answer-status` with `http_status` 404 when there is none. */
  get(name: string, options?: CallOptions): Promise<NamedPolicy>
  /** Creates one; `KEYLIME_CONFLICT` when there is one of that name. */
  create(policy: NamedPolicy, options?: CallOptions): Promise<void>
  /** Replaces one, for the agents enrolled with it too. */
  replace(policy: NamedPolicy, options?: CallOptions): Promise<void>
  /** Deletes one; `KEYLIME_CONFLICT` while an agent is enrolled with it. */
  delete(name: string, options?: CallOptions): Promise<void>
}

interface Kind {
  /** First part of the path. */
  readonly folder: string
  readonly about: string
  /** Key of the list of names. */
  readonly namesKey: string
  readonly textKey: string
  readonly least: ApiVersion
  readonly bodyOf: (text: string) => Readonly<Record<string, unknown>>
}

const RUNTIME: Kind = {
  folder: 'allowlists',
  about: 'runtime policy',
  namesKey: 'runtimepolicy names',
  textKey: 'runtime_policy',
  least: '2.1',
  bodyOf: (text) => ({ runtime_policy: Buffer.from(text).toString('base64'), runtime_policy_key: '' }),
}

const MEASURED_BOOT: Kind = {
  folder: 'mbpolicies',
  about: 'measured boot policy',
  namesKey: 'mbpolicy names',
  textKey: 'mb_policy',
  least: '2.3',
  bodyOf: (text) => ({ mb_policy: text }),
}

// A runtime policy lists every file of a system: tens of thousands of lines.
const MAX_POLICY_BYTES = 64 * 1024 * 1024

const NAMES = v.array(v.string())
const TEXT = v.string()

/**
 * Makes the client of a verifier's runtime policies.
 *
 * @param api The verifier.
 * @returns The client.
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `AllowlistHandler`
 */
export function newRuntimePolicies(api: KeylimeApi<ApiVersion>): NamedPolicies {
  return policiesOf(RUNTIME, api)
}

/**
 * Makes the client of a verifier's measured-boot references.
 *
 * @param api The verifier.
 * @returns The client.
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `MbpolicyHandler`
 */
export function newMeasuredBootPolicies(api: KeylimeApi<ApiVersion>): NamedPolicies {
  return policiesOf(MEASURED_BOOT, api)
}

function policiesOf(kind: Kind, api: KeylimeApi<ApiVersion>): NamedPolicies {
  const ask = async (method: HttpMethod, name: string | undefined, options: CallOptions = {}, text?: string) => {
    const { results } = await api.call({
      method,
      path: `/${kind.folder}${name === undefined ? '/' : `/${encodeURIComponent(name)}`}`,
      signal: options.signal,
      operation: `${method.toLowerCase()}_${kind.folder}`,
      about: name === undefined ? `the list of ${kind.about} names` : `${kind.about} ${name}`,
      least: kind.least,
      ...(text !== undefined && { body: kind.bodyOf(text) }),
      accepts: method === 'GET' ? [] : [201, 204],
      maxBodyBytes: MAX_POLICY_BYTES,
    })
    return results
  }
  const textOf = (results: Readonly<Record<string, unknown>>, name: string): string =>
    parseShape(TEXT, results[kind.textKey], api.name, `${kind.about} ${name}`)
  return {
    list: async (options) =>
      parseShape(NAMES, (await ask('GET', undefined, options))[kind.namesKey], api.name, `list of ${kind.about} names`),
    get: async (name, options) => ({ name, text: textOf(await ask('GET', name, options), name) }),
    create: async ({ name, text }, options) => void (await ask('POST', name, options, text)),
    replace: async ({ name, text }, options) => void (await ask('PUT', name, options, text)),
    delete: async (name, options) => void (await ask('DELETE', name, options)),
  }
}
