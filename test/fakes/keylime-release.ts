// What each Keylime release answers: API versions, authentication and fields that came with it.

/** Names the releases a fake verifier or registrar can play. */
export type KeylimeRelease = '7.10' | '7.11' | '7.12' | '7.13' | '7.14.0' | '7.14.2' | '7.14.3'

/** Says what differs between releases. */
export interface ReleaseFacts {
  readonly versions: readonly string[]
  /** Before 7.14.0 the verifier demands a client certificate for everything, `/version` included. */
  readonly clientCertificates: 'required' | 'optional'
  /** `attestation_status` and two neighbours came with 7.14.0. */
  readonly hasAttestationStatus: boolean
  /** Before 7.12 the registrar sends no `agent_id` and knows no `/version`. */
  readonly hasNamedRecords: boolean
}

const UP_TO_2_1 = ['1.0', '2.0', '2.1']

/**
 * Facts of each release.
 * @see keylime 9b1f6e6a, keylime/api_version.py, and the same file at the tags
 */
export const KEYLIME_RELEASES: Readonly<Record<KeylimeRelease, ReleaseFacts>> = {
  '7.10': { ...older(UP_TO_2_1), hasNamedRecords: false },
  '7.11': { ...older([...UP_TO_2_1, '2.2']), hasNamedRecords: false },
  '7.12': older([...UP_TO_2_1, '2.2', '2.3']),
  '7.13': older([...UP_TO_2_1, '2.2', '2.3', '2.4']),
  '7.14.0': newer(['2.5', '3.0']),
  '7.14.2': newer(['2.5', '3.0']),
  '7.14.3': newer(['2.5', '2.6', '3.0']),
}

/** What the framework answers on its own: no body, and a type all the same. */
export const EMPTY_HTML = { contentType: 'text/html; charset=UTF-8', body: '' } as const

/**
 * Splits a path below its version.
 * @param path Such as `/v2.6/agents/x`.
 * @returns Version and the decoded parts after it, or undefined where there is no version.
 */
export function splitVersion(
  path: string,
): { readonly version: string; readonly parts: readonly string[] } | undefined {
  const match = /^\/v(\d+(?:\.\d+)?)\/(.*)$/.exec(path)
  if (match === null) return undefined
  const [, version = '', rest = ''] = match
  const parts = rest.replace(/\/$/, '').split('/')
  return { version: version === '2' ? '2.0' : version, parts: parts.map(decodeOrKeep) }
}

function decodeOrKeep(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function older(versions: readonly string[]): ReleaseFacts {
  return { versions, clientCertificates: 'required', hasAttestationStatus: false, hasNamedRecords: true }
}

function newer(last: readonly string[]): ReleaseFacts {
  const versions = [...UP_TO_2_1, '2.2', '2.3', '2.4', ...last]
  return { versions, clientCertificates: 'optional', hasAttestationStatus: true, hasNamedRecords: true }
}
