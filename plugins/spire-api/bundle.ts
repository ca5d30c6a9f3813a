/**
 * The trust domain's bundle, as one SPIRE server publishes it.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import type { SpireCallOptions, SpireConnection } from './connection.ts'
import { SpireApiError } from './errors.ts'
import { BundleService } from './gen/spire/api/server/bundle/v1/bundle.ts'

/** The bundle. */
export interface SpireBundle {
  readonly trustDomain: string
  readonly authorities: readonly BundleAuthority[]
  /** Grows with each change. */
  readonly sequenceNumber: bigint
}

/** One X.509 authority of a bundle. */
export interface BundleAuthority {
  readonly certificate: X509Certificate
  /** Agents leave a tainted one at once. */
  readonly tainted: boolean
}

/**
 * Reads the bundle.
 *
 * @param connection The server.
 * @param options `signal`: the caller's.
 * @returns The bundle.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`: an authority is no certificate.
 */
export async function getBundle(connection: SpireConnection, options: SpireCallOptions = {}): Promise<SpireBundle> {
  const request = {
    outputMask: {
      x509Authorities: true,
      jwtAuthorities: false,
      refreshHint: false,
      sequenceNumber: true,
      witAuthorities: false,
    },
  }
  const bundle = await connection.call(BundleService.getBundle, request, '', options)
  const authorities = bundle.x509Authorities.map(({ asn1, tainted }) => ({
    certificate: certificateOf(connection, asn1),
    tainted,
  }))
  return { trustDomain: bundle.trustDomain, authorities, sequenceNumber: bundle.sequenceNumber }
}

function certificateOf(connection: SpireConnection, der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch (cause) {
    const message = `${connection.name}: an authority of the bundle is not a certificate`
    throw new SpireApiError('SPIRE_BAD_ANSWER', message, { cause })
  }
}
