/**
 * A new certificate from its issuer, for a key that was just made here.
 *
 * @module
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { newKey, pkcs8, signerOf } from '../pki/keys.ts'
import type { CertificateNames } from '../pki/names.ts'
import { pkiError } from '../pki/pki-error.ts'
import { newRequest, selfSigned } from '../pki/requests.ts'
import type { HttpsPlace } from '../sources/json-https.ts'
import { OpenBao, type SignedCertificate } from '../sources/openbao.ts'
import { renewAtStepCa } from '../sources/step-ca.ts'
import type { CertSpec } from './cert-spec.ts'
import type { NewPair } from './pair-swap.ts'

/** What obtaining needs besides the description. */
export interface ObtainOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Says what was tried in vain, such as an SVID that is not taken. */
  readonly say: (line: string) => void
}

const DAY_MS = 86_400_000
/** Life of a self-signed certificate where no other is asked for. */
const SELF_DAYS = 7

/**
 * Obtains a new pair.
 *
 * @param spec What is wanted.
 * @param options Limits, clock, where to report.
 * @returns The chain and the key.
 * @throws {OperatorError} Any `TK-PKI-*`, exit 75.
 */
export async function obtainPair(spec: CertSpec, options: ObtainOptions): Promise<NewPair> {
  const key = await newKey(spec.key_type)
  const names: CertificateNames = {
    commonName: spec.common_name,
    dnsNames: spec.dns_names,
    ipAddresses: spec.ip_addresses,
    uris: spec.uris,
  }
  const chain =
    spec.issuer === 'self' ? await ownCertificate(spec, names, key, options) : await issued(spec, names, key, options)
  return { chain, key: pkcs8(key) }
}

async function ownCertificate(
  { use, ttl }: CertSpec,
  names: CertificateNames,
  key: KeyObject,
  { now }: ObtainOptions,
): Promise<string> {
  const wish = { ...names, use, notBefore: new Date(now - 30_000), notAfter: new Date(now + lifeMs(ttl)) }
  return selfSigned(wish, signerOf(key, createPublicKey(key)))
}

function lifeMs(ttl: string): number {
  const [, count, unit = 'h'] = /^(\d+)([smhd])$/.exec(ttl) ?? []
  const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS }
  return count === undefined ? SELF_DAYS * DAY_MS : Number(count) * (units[unit] ?? DAY_MS)
}

async function issued(
  spec: CertSpec,
  names: CertificateNames,
  key: KeyObject,
  options: ObtainOptions,
): Promise<string> {
  const csr = await newRequest(names, signerOf(key, createPublicKey(key)))
  const signed = spec.issuer === 'step-ca' ? await atStepCa(spec, csr, options) : await atOpenBao(spec, csr, options)
  const appended = spec.append_file === undefined ? '' : readFileSync(spec.append_file, 'utf8')
  const parts = [signed.certificate, ...signed.issuers].map((pem) => `${pem.trim()}\n`)
  return parts.join('') + appended
}

function atStepCa(spec: CertSpec, csr: string, { timeoutMs, signal }: ObtainOptions): Promise<SignedCertificate> {
  const client = { certFile: spec.cert_file, keyFile: spec.key_file }
  return renewAtStepCa({ ...placeOf(spec, timeoutMs), client }, csr, signal)
}

async function atOpenBao(spec: CertSpec, csr: string, options: ObtainOptions): Promise<SignedCertificate> {
  const session = await login(spec, options)
  const { mount, role = '', common_name: commonName, dns_names: dnsNames, ip_addresses: ipAddresses, uris, ttl } = spec
  return session.sign({ mount, role, csr, commonName, dnsNames, ipAddresses, uris, ttl }, options.signal)
}

// The SVID first, since it proves that the host is healthy; AppRole when the host has none: without that second way a host
// that was off for longer than its certificate lives could never come back.
async function login(spec: CertSpec, { timeoutMs, signal, say }: ObtainOptions): Promise<OpenBao> {
  const place = placeOf(spec, timeoutMs)
  const { svid_cert_file: certFile, svid_key_file: keyFile } = spec
  const hasAppRole = spec.approle_role_id_file !== undefined
  if (certFile !== undefined && keyFile !== undefined) {
    try {
      const withSvid = { ...place, client: { certFile, keyFile } }
      return await OpenBao.login(withSvid, { kind: 'cert', role: spec.svid_role, mount: 'cert' }, signal)
    } catch (error) {
      if (!hasAppRole) throw error
      say(
        `${spec.name}: the SVID is not taken (${error instanceof Error ? error.message : String(error)}); AppRole is tried`,
      )
    }
  }
  const roleId = credential(spec.approle_role_id_file)
  const secretId = credential(spec.approle_secret_id_file)
  return OpenBao.login(place, { kind: 'approle', roleId, secretId, mount: 'approle' }, signal)
}

function credential(file: string | undefined): string {
  try {
    return readFileSync(file ?? '', 'utf8').trim()
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw pkiError('TK-PKI-DENIED', `credential ${file} cannot be read (${why})`, cause)
  }
}

function placeOf(spec: CertSpec, timeoutMs: number): HttpsPlace {
  return { name: spec.issuer, address: spec.address ?? '', caFile: spec.ca_file ?? '', timeoutMs }
}
