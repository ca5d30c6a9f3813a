/**
 * The keys by which OpenBao's JWT auth method verifies JWT-SVIDs.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { type Bundle, jwtAuthoritiesAsPem } from '@tower-of-omens/spire-sdk'
import { askJson } from './ask-json.ts'

/** Which OpenBao, and how to reach it. */
export interface OpenBaoSettings {
  /** Such as `https://bao.example.org:8200`. */
  readonly address: string
  /** Below `auth/`. */
  readonly authPath: string
  readonly tokenFile: string
  /** Absent: the system's roots. */
  readonly caFile: string | undefined
  readonly timeoutMs: number
}

/** Settings of the method that are written back as they were read: what is left out of a write, OpenBao forgets. */
const KEPT = ['bound_issuer', 'default_role', 'jwt_supported_algs', 'provider_config', 'namespace_in_state'] as const

/** Settings that would take the place of the keys. */
const OTHER_SOURCES = ['oidc_discovery_url', 'jwks_url'] as const

/**
 * Makes the keys those of the bundle, unless they are already. Tainted keys are left out: nothing they signed is to be
 * trusted any more.
 *
 * @param bundle As SPIRE has it.
 * @param settings Of OpenBao.
 * @param signal Ends the requests.
 * @returns Ids of the keys that were set; `undefined` when they were right.
 * @throws {Error} OpenBao cannot be reached or refuses, or the method takes its keys from elsewhere.
 */
export async function setJwtKeys(
  bundle: Bundle,
  settings: OpenBaoSettings,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const trusted = { ...bundle, jwtAuthorities: bundle.jwtAuthorities.filter(({ tainted }) => !tainted) }
  const keys = jwtAuthoritiesAsPem(trusted)
  if (keys.size === 0) throw new Error('the bundle has no JWT key to trust; the keys in OpenBao stay as they are')
  const ask = await asking(settings, signal)
  const current = await ask('GET')
  for (const source of OTHER_SOURCES) {
    if (textIn(current, source) !== '') {
      throw new Error(`auth/${settings.authPath} has ${source}, expected a method that is configured by keys alone`)
    }
  }
  const wanted = [...keys.values()].map((pem) => pem.trim())
  if (sameKeys(current['jwt_validation_pubkeys'], wanted)) return undefined
  const kept = KEPT.filter((name) => current[name] !== undefined && current[name] !== null)
  await ask('POST', {
    ...Object.fromEntries(kept.map((name) => [name, current[name]])),
    jwt_validation_pubkeys: wanted,
  })
  return [...keys.keys()]
}

type Settings = Readonly<Record<string, unknown>>

async function asking(
  settings: OpenBaoSettings,
  signal: AbortSignal,
): Promise<(method: 'GET' | 'POST', body?: object) => Promise<Settings>> {
  const { address, authPath, tokenFile, caFile, timeoutMs } = settings
  const token = (await readFile(tokenFile, 'utf8')).trim()
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  const url = new URL(`/v1/auth/${authPath}/config`, address)
  const headers = { 'x-vault-token': token, 'x-vault-request': 'true' }
  return async (method, body) => {
    const { status, json } = await askJson({ url, method, headers, ca, body, timeoutMs, signal })
    if (status === 404) return {}
    if (status >= 300) throw new Error(`${method} ${url.href} answered ${status}${wordsOf(json)}`)
    const data = json['data']
    return typeof data === 'object' && data !== null ? { ...data } : {}
  }
}

/** Repeats OpenBao's own words, which hold no token and no key. */
function wordsOf(json: Settings): string {
  const errors = json['errors']
  const words = Array.isArray(errors) ? errors.filter((error) => typeof error === 'string').join(', ') : ''
  return words === '' ? '' : `: ${words.slice(0, 300).replaceAll(/\s+/g, ' ')}`
}

function textIn(current: Settings, name: string): string {
  const value = current[name]
  return typeof value === 'string' ? value : ''
}

/** Compares without order, for OpenBao tries each key. */
function sameKeys(current: unknown, wanted: readonly string[]): boolean {
  if (!Array.isArray(current)) return false
  const known = new Set(current.map((pem) => String(pem).trim()))
  return known.size === wanted.length && wanted.every((pem) => known.has(pem))
}
