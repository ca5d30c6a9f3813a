/**
 * OpenBao as the tower's certificate authority: started sealed, initialised and unsealed for real, with the intermediate
 * "Book of Omens" under our root and one role for each use.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { RigError } from '../processes/errors.ts'
import { askHttps } from '../processes/https.ts'
import { pollUntil } from '../processes/poll.ts'
import { type IssuedPair, installPair, type RootCa } from './pki.ts'

/** Where OpenBao runs and how it is reached. */
export interface OpenBaoPlace {
  /** Folder for its configuration and data. */
  readonly dir: string
  /** Name it is called by, in its certificate. */
  readonly name: string
  readonly ip: string
  /** Unix socket of the portal of a host that can reach it. */
  readonly portal: string
}

/** One certificate to issue. */
export interface IssueRequest {
  readonly role: Role
  readonly commonName: string
  readonly names?: readonly string[]
  readonly ips?: readonly string[]
  readonly uris?: readonly string[]
  /** Such as `24h`. */
  readonly ttl: string
}

/** Roles as the operator has them, and two that split what one certificate may do. */
export type Role =
  | 'keylime-services'
  | 'keylime-agents'
  | 'keylime-agents-rsa'
  | 'keylime-agents-aged'
  | 'tower-infrastructure'
  | 'spire-agents'
  | 'openbao-server'

const PORT = 8200
const SHARES = 5
const THRESHOLD = 3
const DOMAINS = ['funlab.casa', 'keylime.funlab.casa']

const COMMON = {
  allow_subdomains: true,
  allow_bare_domains: true,
  allow_localhost: true,
  allow_ip_sans: true,
  allowed_domains: DOMAINS,
}
const EC = { key_type: 'ec', key_bits: 256 }
const RSA = { key_type: 'rsa', key_bits: 2048 }
const BOTH = { server_flag: true, client_flag: true }

const ROLES: Readonly<Record<Role, Readonly<Record<string, unknown>>>> = {
  'keylime-services': { ...COMMON, ...EC, ...BOTH, ttl: '24h', max_ttl: '168h' },
  // A certificate that can only serve: with it nobody becomes an administrator of the verifier.
  'keylime-agents': { ...COMMON, ...EC, server_flag: true, client_flag: false, ttl: '24h', max_ttl: '168h' },
  'keylime-agents-rsa': { ...COMMON, ...RSA, server_flag: true, client_flag: false, ttl: '24h', max_ttl: '168h' },
  // Four fifths of such a certificate's life have passed when it is issued for four hours.
  'keylime-agents-aged': { ...COMMON, ...EC, server_flag: true, client_flag: false, not_before_duration: '16h' },
  'tower-infrastructure': {
    ...COMMON,
    ...RSA,
    ...BOTH,
    ttl: '168h',
    max_ttl: '720h',
    allowed_uri_sans: ['spiffe://funlab.casa/*'],
  },
  'spire-agents': {
    ...COMMON,
    ...EC,
    ...BOTH,
    ttl: '168h',
    max_ttl: '720h',
    allowed_uri_sans: ['spiffe://funlab.casa/*'],
  },
  'openbao-server': { ...COMMON, ...RSA, ...BOTH, ttl: '720h', max_ttl: '2160h' },
}

const Initialised = v.object({ keys: v.array(v.string()), root_token: v.string() })
const Csr = v.object({ data: v.object({ csr: v.string() }) })
const Issued = v.object({
  data: v.object({ certificate: v.string(), private_key: v.string(), issuing_ca: v.string() }),
})

const RoleId = v.object({ data: v.object({ role_id: v.string() }) })
const SecretId = v.object({ data: v.object({ secret_id: v.string() }) })
const Token = v.object({ auth: v.object({ client_token: v.string() }) })

/** May set the keys by which JWT-SVIDs are judged, and nothing else. */
const KEEPER_POLICY = 'path "auth/jwt/config" {\n  capabilities = ["read", "update"]\n}\n'

/** Audience of the JWT-SVIDs that let a workload in. */
export const JWT_AUDIENCE = 'openbao'

/** One OpenBao server. Its unseal keys and token stay in memory. */
export class OpenBao {
  readonly #place: OpenBaoPlace
  readonly #ca: string
  #keys: readonly string[] = []
  #token = ''
  #intermediate = ''
  #hasAppRole = false
  #hasJwt = false
  #hasCertificateLogin = false

  /**
   */
  constructor(place: OpenBaoPlace, root: RootCa) {
    this.#place = place
    this.#ca = root.certificate()
  }

  /**
   * Writes the configuration, with a first certificate straight from the root since no CA is up yet.
   *
   * @returns Arguments of `bao`.
   */
  prepare(root: RootCa): readonly string[] {
    const { dir, name, ip } = this.#place
    mkdirSync(join(dir, 'data'), { recursive: true, mode: 0o700 })
    installPair(root.issueServer([name], [ip]), this.certFile, this.keyFile)
    const config = [
      'ui = false',
      `api_addr = "https://${name}:${PORT}"`,
      `cluster_addr = "https://${ip}:8201"`,
      // Without performance_multiplier = 1 the first election takes 7 s.
      `storage "raft" {\n  path = "${join(dir, 'data')}"\n  node_id = "tower"\n  performance_multiplier = 1\n}`,
      `listener "tcp" {\n  address = "0.0.0.0:${PORT}"\n  cluster_address = "${ip}:8201"\n  tls_cert_file = "${this.certFile}"\n  tls_key_file = "${this.keyFile}"\n  tls_min_version = "tls12"\n}`,
    ]
    writeFileSync(join(dir, 'bao.hcl'), `${config.join('\n')}\n`, { mode: 0o600 })
    return ['server', `-config=${join(dir, 'bao.hcl')}`]
  }

  get certFile(): string {
    return join(this.#place.dir, 'bao.crt')
  }

  get keyFile(): string {
    return join(this.#place.dir, 'bao.key')
  }

  /** What an operator of this OpenBao holds: its address, a token, and the unseal keys. */
  get operator(): { readonly address: string; readonly token: string; readonly keys: readonly string[] } {
    return { address: `https://${this.#place.name}:${PORT}`, token: this.#token, keys: this.#keys }
  }

  /** PEM of the intermediate. */
  get intermediate(): string {
    return this.#intermediate
  }

  /** Initialises it (5 key shares, 3 needed) and unseals it. */
  async initialise(abort?: () => void): Promise<void> {
    await this.#waitForHealth([501], abort)
    const body = { secret_shares: SHARES, secret_threshold: THRESHOLD }
    const { keys, root_token: token } = v.parse(Initialised, await this.#call('POST', 'sys/init', body))
    this.#keys = keys
    this.#token = token
    await this.unseal(abort)
  }

  /** Gives it three of its keys and waits until it answers as active. */
  async unseal(abort?: () => void): Promise<void> {
    await this.#waitForHealth([503, 200], abort)
    for (const key of this.#keys.slice(0, THRESHOLD)) await this.#call('POST', 'sys/unseal', { key })
    await this.#waitForHealth([200], abort)
  }

  /** Seals it: it answers nothing but its health until unsealed. */
  async seal(): Promise<void> {
    await this.#call('POST', 'sys/seal')
  }

  /** Reads whether it is sealed, by its health status. */
  async isSealed(): Promise<boolean> {
    return (await this.#request('GET', 'sys/health')).status === 503
  }

  /** Makes the intermediate CA, has the root sign it, and writes the roles. */
  async makeAuthority(root: RootCa): Promise<void> {
    await this.#call('POST', 'sys/mounts/pki_int', { type: 'pki', config: { max_lease_ttl: '87600h' } })
    const request = {
      common_name: 'Book of Omens',
      organization: 'Funlab.Casa',
      ou: 'Tower of Omens',
      country: 'US',
      key_type: 'rsa',
      key_bits: 4096,
    }
    const { data } = v.parse(Csr, await this.#call('POST', 'pki_int/intermediate/generate/internal', request))
    this.#intermediate = root.signIntermediate(data.csr)
    await this.#call('POST', 'pki_int/intermediate/set-signed', { certificate: `${this.#intermediate}\n${this.#ca}` })
    for (const [name, role] of Object.entries(ROLES)) await this.#call('POST', `pki_int/roles/${name}`, role)
  }

  /**
   * Issues one certificate.
   *
   * @returns Leaf, PKCS#8 key, and the chain leaf + intermediate.
   * @throws {RigError} OpenBao is sealed, unreachable, or its role does not allow it; the message holds its words.
   */
  async issue(request: IssueRequest): Promise<IssuedPair> {
    const answer = await this.#call('POST', `pki_int/issue/${request.role}`, {
      common_name: request.commonName,
      alt_names: (request.names ?? []).join(','),
      ip_sans: (request.ips ?? []).join(','),
      uri_sans: (request.uris ?? []).join(','),
      ttl: request.ttl,
      private_key_format: 'pkcs8',
    })
    const { data } = v.parse(Issued, answer)
    return {
      cert: `${data.certificate}\n`,
      key: `${data.private_key}\n`,
      chain: `${data.certificate}\n${data.issuing_ca}\n`,
    }
  }

  /**
   * Gives a host its AppRole, which may have certificates of one role signed and nothing else.
   *
   * @param host Name of the host and of its AppRole.
   * @param role Of the PKI engine.
   * @returns Its role-id and a secret-id.
   */
  async allowAppRole(host: string, role: Role): Promise<{ readonly roleId: string; readonly secretId: string }> {
    if (!this.#hasAppRole) await this.#call('POST', 'sys/auth/approle', { type: 'approle' })
    this.#hasAppRole = true
    const policy = `path "pki_int/sign/${role}" {\n  capabilities = ["update"]\n}\n`
    await this.#call('POST', `sys/policies/acl/renew-${host}`, { policy })
    const limits = { token_policies: [`renew-${host}`], token_ttl: '5m', token_num_uses: 3 }
    await this.#call('POST', `auth/approle/role/${host}`, limits)
    const id = v.parse(RoleId, await this.#call('GET', `auth/approle/role/${host}/role-id`))
    const secret = v.parse(SecretId, await this.#call('POST', `auth/approle/role/${host}/secret-id`, {}))
    return { roleId: id.data.role_id, secretId: secret.data.secret_id }
  }

  /**
   * Has workloads let in by JWT-SVIDs, once somebody has set the keys.
   *
   * @returns A token that may do that.
   */
  async keeperToken(): Promise<string> {
    if (!this.#hasJwt) {
      await this.#call('POST', 'sys/auth/jwt', { type: 'jwt' })
      const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: [JWT_AUDIENCE], token_policies: ['default'] }
      await this.#call('POST', 'auth/jwt/role/workload', role)
      await this.#call('POST', 'sys/policies/acl/keeper', { policy: KEEPER_POLICY })
    }
    this.#hasJwt = true
    const wish = { policies: ['keeper'], period: '24h', no_default_policy: true }
    return v.parse(Token, await this.#call('POST', 'auth/token/create-orphan', wish)).auth.client_token
  }

  /** Tells whether a JWT-SVID lets its workload in. */
  async acceptsJwt(jwt: string): Promise<boolean> {
    const { status, body } = await this.#request('POST', 'auth/jwt/login', { role: 'workload', jwt })
    if (status === 200 || status === 400) return status === 200
    throw new RigError(`openbao answered ${status} to a login by jwt: ${JSON.stringify(body)}`)
  }

  /**
   * Lets whoever has an SVID of a trust domain log in with it, to have certificates of one role signed and nothing else.
   *
   * @param name Of the certificate role.
   * @param svid `bundle`: PEM of the trust domain. `id`: the SPIFFE ID.
   * @param role Of the PKI engine.
   */
  async allowSvid(name: string, svid: { readonly bundle: string; readonly id: string }, role: Role): Promise<void> {
    if (!this.#hasCertificateLogin) await this.#call('POST', 'sys/auth/cert', { type: 'cert' })
    this.#hasCertificateLogin = true
    const policy = `path "pki_int/sign/${role}" {\n  capabilities = ["update"]\n}\n`
    await this.#call('POST', `sys/policies/acl/svid-${name}`, { policy })
    const allowed = { certificate: svid.bundle, allowed_uri_sans: svid.id, token_policies: [`svid-${name}`] }
    await this.#call('POST', `auth/cert/certs/${name}`, { ...allowed, token_ttl: '5m' })
  }

  async #waitForHealth(wanted: readonly number[], abort?: () => void): Promise<void> {
    await pollUntil('OpenBao', async () => wanted.includes((await this.#request('GET', 'sys/health')).status), {
      deadlineMs: 30_000,
      intervalMs: 50,
      ...(abort === undefined ? {} : { abort }),
    })
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#request(method, path, body)
    if (answer.status >= 300) {
      throw new RigError(`openbao answered ${answer.status} to ${method} ${path}: ${JSON.stringify(answer.body)}`)
    }
    return answer.body
  }

  #request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const { portal, name } = this.#place
    const headers = this.#token === '' ? {} : { 'x-vault-token': this.#token }
    return askHttps({ portal, host: name, port: PORT, method, path: `/v1/${path}`, headers, body, ca: this.#ca })
  }
}
