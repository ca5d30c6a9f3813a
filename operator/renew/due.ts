/**
 * When a certificate is due for renewal.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'

/** Share of its life after which a certificate is renewed. */
export const DUE_SHARE = 2 / 3

/** Why a certificate is renewed now; undefined: it is not due. */
export type Due = 'missing' | 'expired' | 'due' | 'forced' | undefined

/**
 * Decides whether a certificate is due.
 *
 * @param certificate The one in place; undefined when there is none that can be read.
 * @param now Milliseconds since the epoch.
 * @param force Renew in any case.
 * @returns Why, or undefined.
 */
export function dueOf(certificate: X509Certificate | undefined, now: number, force: boolean): Due {
  if (certificate === undefined) return 'missing'
  const from = certificate.validFromDate.getTime()
  const to = certificate.validToDate.getTime()
  if (now >= to) return 'expired'
  if (now >= from + (to - from) * DUE_SHARE) return 'due'
  return force ? 'forced' : undefined
}
