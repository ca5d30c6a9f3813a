/**
 * The dates of a TPM maker's certificates: what is said of them, whether or not they decide.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'

/** Where the present is in a certificate's life. `unreadable`: its dates are none, such as those of a month 13. */
export type DateStage = 'within' | 'not-yet' | 'over' | 'unreadable'

/** The first and last moment of a certificate, milliseconds since the epoch; either may be NaN. */
export interface CertificateDates {
  readonly from: number
  readonly to: number
}

/**
 * Reads a certificate's dates.
 *
 * @param certificate The certificate.
 * @returns Both dates; NaN for one that is none.
 */
export function datesOf(certificate: Pick<X509Certificate, 'validFrom' | 'validTo'>): CertificateDates {
  return { from: Date.parse(certificate.validFrom), to: Date.parse(certificate.validTo) }
}

/**
 * Tells where the present is in a certificate's life.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns The stage; never `within` for a date that cannot be read.
 */
export function dateStage(certificate: Pick<X509Certificate, 'validFrom' | 'validTo'>, now: number): DateStage {
  const { from, to } = datesOf(certificate)
  if (!Number.isFinite(from) || !Number.isFinite(to)) return 'unreadable'
  if (now < from) return 'not-yet'
  return now > to ? 'over' : 'within'
}

/**
 * Says in words what is wrong with a certificate's dates.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns Such as `expired since Dec 21 00:00:00 2026 GMT`; undefined when nothing is wrong.
 */
export function dateFault(
  certificate: Pick<X509Certificate, 'validFrom' | 'validTo'>,
  now: number,
): string | undefined {
  const words: Readonly<Record<DateStage, string | undefined>> = {
    within: undefined,
    'not-yet': `not valid before ${certificate.validFrom}`,
    over: `expired since ${certificate.validTo}`,
    unreadable: 'dated in a way that cannot be read',
  }
  return words[dateStage(certificate, now)]
}
