/**
 * A trust bundle in the three formats that others read.
 *
 * @see spiffe/spire-plugin-sdk 13afea2, pluginsdk/support/bundleformat
 * @module
 */
import { createPublicKey, X509Certificate } from 'node:crypto'
import type { Bundle } from '../gen/spire/plugin/types/bundle.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** The names of the formats, as BundlePublishers spell them in their configuration. */
export const BUNDLE_FORMATS = ['pem', 'jwks', 'spiffe'] as const
/** Name of a format. */
export type BundleFormat = (typeof BUNDLE_FORMATS)[number]

/**
 * Formats a bundle.
 *
 * @param bundle As SPIRE hands it to a BundlePublisher.
 * @param format `pem`: the X.509 authorities. `jwks`: all authorities as keys of RFC 7517. `spiffe`: the same with their
 *   use, the sequence number and the refresh hint, as a bundle endpoint serves it.
 * @returns Text; PEM ends in a line feed.
 * @throws {RpcError} `INVALID_ARGUMENT`: an authority cannot be parsed.
 */
export function formatBundle(bundle: Bundle, format: BundleFormat): string {
  switch (format) {
    case 'pem':
      return bundle.x509Authorities.map(({ asn1 }, index) => certificateAt(asn1, index).toString()).join('')
    case 'jwks':
      return JSON.stringify({ keys: [...x509Keys(bundle), ...jwtKeys(bundle)] })
    case 'spiffe':
      return JSON.stringify(spiffeBundle(bundle))
    default:
      return format satisfies never
  }
}

/**
 * Reads the JWT authorities as PEM, for programs that take one public key after another.
 *
 * @param bundle As SPIRE hands it to a BundlePublisher.
 * @returns SubjectPublicKeyInfo in PEM by key id.
 * @throws {RpcError} `INVALID_ARGUMENT`: a key cannot be parsed.
 */
export function jwtAuthoritiesAsPem(bundle: Bundle): ReadonlyMap<string, string> {
  return new Map(
    bundle.jwtAuthorities.map(({ keyId, publicKey }, index) => [
      keyId,
      jwtKeyAt(publicKey, index).export({ type: 'spki', format: 'pem' }),
    ]),
  )
}

function spiffeBundle(bundle: Bundle): object {
  const keys = [
    ...x509Keys(bundle).map((key) => ({ use: 'x509-svid', ...key })),
    ...jwtKeys(bundle).map((key) => ({ use: 'jwt-svid', ...key })),
  ]
  return {
    keys,
    ...(bundle.sequenceNumber > 0n ? { spiffe_sequence: Number(bundle.sequenceNumber) } : {}),
    ...(bundle.refreshHint > 0n ? { spiffe_refresh_hint: Number(bundle.refreshHint) } : {}),
  }
}

/** One key of RFC 7517. */
type Jwk = Readonly<Record<string, unknown>>

function x509Keys(bundle: Bundle): Jwk[] {
  return bundle.x509Authorities.map(({ asn1 }, index) => ({
    ...certificateAt(asn1, index).publicKey.export({ format: 'jwk' }),
    x5c: [asn1.toString('base64')],
  }))
}

function jwtKeys(bundle: Bundle): Jwk[] {
  return bundle.jwtAuthorities.map(({ keyId, publicKey }, index) => ({
    ...jwtKeyAt(publicKey, index).export({ format: 'jwk' }),
    kid: keyId,
  }))
}

function certificateAt(asn1: Buffer, index: number): X509Certificate {
  return parsed(`X.509 authority ${index}`, () => new X509Certificate(asn1))
}

function jwtKeyAt(publicKey: Buffer, index: number): ReturnType<typeof createPublicKey> {
  return parsed(`JWT authority ${index}`, () => createPublicKey({ key: publicKey, format: 'der', type: 'spki' }))
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new RpcError('INVALID_ARGUMENT', `${what} of the bundle cannot be parsed`, { cause: error })
  }
}
