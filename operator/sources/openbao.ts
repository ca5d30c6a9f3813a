/**
 * OpenBao or Vault: log in by AppRole or by a certificate, have a request signed, ask for health and for what a token may.
 *
 * No key ever travels: only the request goes out, and only certificates come back.
 *
 * @see openbao/openbao 2.7.2, website/content/api-docs: auth/approle, auth/cert, secret/pki, system/health
 * @module
 */
import * as v from 'valibot'
import { pkiError } from '../pki/pki-error.ts'
import { askJson, type HttpsPlace, type JsonAnswer, type JsonRequest } from './json-https.ts'

/** How to log in. */
export type OpenBaoLogin =
  | { readonly kind: 'approle'; readonly roleId: string; readonly secretId: string; readonly mount: string }
  /** The place's client certificate, such as an X.509-SVID; `role`: name of the certificate role. */
  | { readonly kind: 'cert'; readonly role: string; readonly mount: string }
  | { readonly kind: 'token'; readonly token: string }

/** A request to sign. */
export interface SignRequest {
  /** Mount of the PKI engine, such as `pki_int`. */
  readonly mount: string
  readonly role: string
  /** PEM. */
  readonly csr: string
  readonly commonName: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  /** Such as `24h`; empty for the role's own. */
  readonly ttl: string
}

/** What came back. */
export interface SignedCertificate {
  /** PEM of the certificate. */
  readonly certificate: string
  /** PEM of its issuers, the nearest first, without roots that the server left out. */
  readonly issuers: readonly string[]
}

/** What a token may do. */
export interface TokenFacts {
  readonly policies: readonly string[]
  /** Seconds it lives on; 0: for ever. */
  readonly ttl: number
  readonly displayName: string
}

/** State of a server. */
export type OpenBaoHealth = 'active' | 'standby' | 'sealed' | 'uninitialised'

const Login = v.object({ auth: v.object({ client_token: v.string() }) })
const Signed = v.object({
  data: v.object({
    certificate: v.string(),
    issuing_ca: v.optional(v.string()),
    ca_chain: v.optional(v.array(v.string())),
  }),
})
const LookedUp = v.object({
  data: v.object({ policies: v.array(v.string()), ttl: v.number(), display_name: v.optional(v.string(), '') }),
})
const Wrapped = v.object({ wrap_info: v.object({ token: v.string(), ttl: v.number() }) })
const SecretId = v.object({ data: v.object({ secret_id: v.string() }) })
const Failed = v.object({ errors: v.array(v.string()) })

/** One server, after a login. */
export class OpenBao {
  readonly #place: HttpsPlace
  readonly #token: string

  private constructor(place: HttpsPlace, token: string) {
    this.#place = place
    this.#token = token
  }

  /**
   * Logs in.
   *
   * @param place The server; with a client certificate for a `cert` login.
   * @param login Credentials.
   * @param signal The caller's.
   * @returns The session.
   * @throws {OperatorError} `TK-PKI-SEALED`, `TK-PKI-AWAY`, `TK-PKI-DENIED`, `TK-PKI-ANSWER`.
   */
  static async login(place: HttpsPlace, login: OpenBaoLogin, signal?: AbortSignal): Promise<OpenBao> {
    if (login.kind === 'token') return new OpenBao(place, login.token)
    const body = login.kind === 'approle' ? { role_id: login.roleId, secret_id: login.secretId } : { name: login.role }
    const path = `/v1/auth/${login.mount}/login`
    const answer = await askJson(place, { method: 'POST', path, body, signal })
    const read = v.safeParse(Login, requireSuccess(place, answer, `${login.kind} login at auth/${login.mount}`))
    if (!read.success) throw unexpected(place, 'login')
    return new OpenBao(place, read.output.auth.client_token)
  }

  /**
   * Asks for a server's state; needs no login.
   *
   * @param place The server.
   * @param signal The caller's.
   * @returns Its state.
   * @throws {OperatorError} `TK-PKI-AWAY`, `TK-PKI-ANSWER`.
   */
  static async health(place: HttpsPlace, signal?: AbortSignal): Promise<OpenBaoHealth> {
    const { status } = await askJson(place, { method: 'GET', path: '/v1/sys/health', signal })
    const states: Readonly<Record<number, OpenBaoHealth>> = {
      200: 'active',
      429: 'standby',
      472: 'standby',
      473: 'standby',
      501: 'uninitialised',
      503: 'sealed',
    }
    const state = states[status]
    if (state === undefined)
      throw pkiError('TK-PKI-ANSWER', `${nameOf(place)}: answered ${status} to sys/health; is that OpenBao?`)
    return state
  }

  /**
   * Unwraps a secret-id that was wrapped for one use.
   *
   * @param place The server.
   * @param wrappingToken From {@link wrapSecretId}.
   * @param signal The caller's.
   * @returns The secret-id.
   * @throws {OperatorError} As {@link login}; `TK-PKI-DENIED` also when it has been unwrapped before.
   */
  static async unwrapSecretId(place: HttpsPlace, wrappingToken: string, signal?: AbortSignal): Promise<string> {
    const unwrapper = new OpenBao(place, wrappingToken)
    const answer = await unwrapper.#ask({ method: 'POST', path: '/v1/sys/wrapping/unwrap', signal })
    if (answer.status === 400 || answer.status === 403) {
      throw pkiError(
        'TK-PKI-DENIED',
        `${nameOf(place)}: the wrapped secret-id has been used or has ended; have another printed by towerkeep enroll prepare --vault-token-file. If it was not used here, somebody else has: destroy the secret-ids of this AppRole first`,
      )
    }
    const read = v.safeParse(SecretId, requireSuccess(place, answer, 'unwrapping the secret-id'))
    if (!read.success) throw unexpected(place, 'sys/wrapping/unwrap')
    return read.output.data.secret_id
  }

  /**
   * Makes a secret-id of an AppRole, wrapped in a token of one use.
   *
   * @param mount Of the AppRole method.
   * @param role Name of the AppRole.
   * @param ttlSeconds Life of the wrapping.
   * @param signal The caller's.
   * @returns The wrapping token.
   * @throws {OperatorError} As {@link login}.
   */
  async wrapSecretId(mount: string, role: string, ttlSeconds: number, signal?: AbortSignal): Promise<string> {
    const path = `/v1/auth/${mount}/role/${role}/secret-id`
    const headers = { 'x-vault-wrap-ttl': `${ttlSeconds}s` }
    const answer = await this.#ask({ method: 'POST', path, body: {}, headers, signal })
    const read = v.safeParse(Wrapped, requireSuccess(this.#place, answer, `a secret-id of AppRole ${role}`))
    if (!read.success) throw unexpected(this.#place, path)
    return read.output.wrap_info.token
  }

  /**
   * Has a request signed.
   *
   * @param wish The request, and the names once more: a role may take them from either.
   * @param signal The caller's.
   * @returns Certificates.
   * @throws {OperatorError} `TK-PKI-SEALED`, `TK-PKI-AWAY`, `TK-PKI-DENIED`, `TK-PKI-REFUSED`, `TK-PKI-ANSWER`.
   */
  async sign(wish: SignRequest, signal?: AbortSignal): Promise<SignedCertificate> {
    const body = {
      csr: wish.csr,
      common_name: wish.commonName,
      alt_names: wish.dnsNames.join(','),
      ip_sans: wish.ipAddresses.join(','),
      uri_sans: wish.uris.join(','),
      ...(wish.ttl !== '' && { ttl: wish.ttl }),
      format: 'pem',
    }
    const path = `/v1/${wish.mount}/sign/${wish.role}`
    const answer = await this.#ask({ method: 'POST', path, body, signal })
    const read = v.safeParse(Signed, requireSuccess(this.#place, answer, `${wish.mount}/sign/${wish.role}`))
    if (!read.success) throw unexpected(this.#place, `${wish.mount}/sign/${wish.role}`)
    const { certificate, issuing_ca: issuer, ca_chain: chain } = read.output.data
    return { certificate, issuers: chain ?? (issuer === undefined ? [] : [issuer]) }
  }

  /**
   * Asks what our token may do.
   *
   * @param signal The caller's.
   * @returns Its policies and life.
   * @throws {OperatorError} As {@link login}.
   */
  async lookupSelf(signal?: AbortSignal): Promise<TokenFacts> {
    const answer = await this.#ask({ method: 'GET', path: '/v1/auth/token/lookup-self', signal })
    const read = v.safeParse(LookedUp, requireSuccess(this.#place, answer, 'auth/token/lookup-self'))
    if (!read.success) throw unexpected(this.#place, 'auth/token/lookup-self')
    const { policies, ttl, display_name: displayName } = read.output.data
    return { policies, ttl, displayName }
  }

  #ask(wish: JsonRequest): Promise<JsonAnswer> {
    return askJson(this.#place, { ...wish, headers: { ...wish.headers, 'x-vault-token': this.#token } })
  }
}

function requireSuccess(place: HttpsPlace, { status, body }: JsonAnswer, what: string): unknown {
  if (status >= 200 && status < 300) return body
  const errors = v.safeParse(Failed, body)
  // Its own words name roles, names and lives, never a secret.
  const said = errors.success ? errors.output.errors.join('; ').replaceAll(/\s+/g, ' ').slice(0, 300) : ''
  const words = said === '' ? '' : `: ${said}`
  const text = `${nameOf(place)}: ${what}: answered ${status}${words}`
  if (status === 503 || status === 501)
    throw pkiError('TK-PKI-SEALED', `${text}; unseal it, or wait until it is active`)
  if (status === 403)
    throw pkiError('TK-PKI-DENIED', `${text}; the login's policy does not allow it, or the login has ended`)
  if (what.startsWith('cert login') && words.includes('missing name in alias')) {
    // OpenBao names a client by the common name of its certificate, which an SVID has from its entry's first DNS name.
    throw pkiError(
      'TK-PKI-DENIED',
      `${text}; the certificate has no common name: give the SPIRE entry of the SVID a DNS name, which becomes it`,
    )
  }
  if (what.includes('login'))
    throw pkiError('TK-PKI-DENIED', `${text}; look at the login's role, secret-id or certificate`)
  if (status >= 500) throw pkiError('TK-PKI-AWAY', text)
  throw pkiError('TK-PKI-REFUSED', `${text}; compare the names and life asked for with the role`)
}

function unexpected(place: HttpsPlace, what: string): Error {
  return pkiError('TK-PKI-ANSWER', `${nameOf(place)}: the answer to ${what} does not have the shape of OpenBao's`)
}

function nameOf({ name, address }: HttpsPlace): string {
  return `${name} ${address}`
}
