/**
 * The life of a certificate: which part of it is over, and when that is spoken of.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'

/** Shares of life left at which an operator is told: renewal is due at two thirds; then it is late; then it is over. */
export const STAGES = [1 / 3, 1 / 10, 0] as const

/** Where in its life a certificate is. */
export type LifeStage = 'not-yet-valid' | 'valid' | 'expires-soon' | 'expired'

/** First and last moment of a certificate; the names of {@link ClientCertificate} and of most libraries. */
export interface Life {
  readonly notBefore: Date
  readonly notAfter: Date
}

/**
 * Reads the life of a certificate.
 *
 * @param certificate The certificate.
 * @returns Its first and last moment.
 */
export function lifeOf(certificate: X509Certificate): Life {
  return { notBefore: new Date(certificate.validFrom), notAfter: new Date(certificate.validTo) }
}

/**
 * Tells whether both dates of a certificate are dates: one of a month 13 parses and is none.
 *
 * @param certificate The certificate.
 * @returns False when either cannot be read, so that no comparison with it means anything.
 */
export function hasDates(certificate: X509Certificate): boolean {
  const { notBefore, notAfter } = lifeOf(certificate)
  return !Number.isNaN(notBefore.getTime()) && !Number.isNaN(notAfter.getTime())
}

/**
 * Tells where in its life a certificate is.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns The stage; `expires-soon` when less than a third of its life is left.
 */
export function lifeStage(certificate: X509Certificate, now: number): LifeStage {
  const life = lifeOf(certificate)
  if (now < life.notBefore.getTime()) return 'not-yet-valid'
  if (now > life.notAfter.getTime()) return 'expired'
  return lifeLeft(life, now) < STAGES[0] ? 'expires-soon' : 'valid'
}

/**
 * Computes how much of a life is left.
 *
 * @param life First and last moment.
 * @param now Milliseconds since the epoch.
 * @returns 1 at its first moment and before, 0 at its last and after.
 */
export function lifeLeft(life: Life, now: number): number {
  const [from, to] = [life.notBefore.getTime(), life.notAfter.getTime()]
  return to <= from ? 0 : Math.min(1, Math.max(0, (to - now) / (to - from)))
}

/**
 * Counts the stages a life has passed.
 *
 * @param left Share of it that is left.
 * @returns 0 to 3; 3: it is over.
 */
export function stagesPassed(left: number): number {
  return STAGES.filter((limit) => left <= limit).length
}

/**
 * Says in words when a certificate begins or ends.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns Such as `expired 12 hours ago (2026-02-12T03:00:00Z)` or `expires in 7 hours (...), 29 % of its life left`.
 */
export function lifeInWords(certificate: X509Certificate, now: number): string {
  const life = lifeOf(certificate)
  const [from, to] = [life.notBefore.getTime(), life.notAfter.getTime()]
  if (now < from) return `is not valid before ${isoSeconds(from)}, in ${spanInWords(from - now)}; is the clock right?`
  if (now > to) return `expired ${spanInWords(now - to)} ago (${isoSeconds(to)})`
  const share = Math.round(lifeLeft(life, now) * 100)
  return `expires in ${spanInWords(to - now)} (${isoSeconds(to)}), ${share} % of its life left`
}

function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

function spanInWords(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000)
  if (minutes < 120) return `${minutes} minutes`
  const hours = Math.round(minutes / 60)
  return hours < 72 ? `${hours} hours` : `${Math.round(hours / 24)} days`
}
