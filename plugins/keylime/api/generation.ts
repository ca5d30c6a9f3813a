/**
 * What differs between generations of Keylime's API: the versions, how one is chosen, and how an answer is opened.
 *
 * @module
 */
import type { HttpAnswer } from '../https/http-request.ts'
import type { Call } from './envelope.ts'

/** One generation of the API, such as 2.x; its records and paths stand in the folder that bears its number. */
export interface Generation<V extends string> {
  /** Versions spoken, highest first. */
  readonly versions: readonly V[]
  /** Media type of the bodies it takes. */
  readonly contentType: string
  /**
   * Chooses the version from the answer to `GET /version`, whatever its status.
   *
   * @throws {KeylimeError} `KEYLIME_API_UNSUPPORTED`: none in common, or a service of another generation.
   */
  chooseVersion(answer: HttpAnswer, call: Call): V
  /** Tells whether an answer to `GET /version` leaves the versions to be found out one by one, highest first. */
  isSilent?(answer: HttpAnswer): boolean
  /** Tells whether an answer says that the version in its path is not spoken (any more). */
  isVersionRefused(answer: HttpAnswer): boolean
  /**
   * Opens an answer.
   *
   * @throws {KeylimeError} The answer is no success, or not of this generation's shape.
   */
  open(answer: HttpAnswer, call: Call): Readonly<Record<string, unknown>>
}

/**
 * Tells whether one version is at least another.
 *
 * @param versions All of a generation, highest first.
 * @param version The version in use.
 * @param least The version needed.
 * @returns True when `version` is `least` or newer.
 */
export function isAtLeast<V extends string>(versions: readonly V[], version: V, least: V): boolean {
  return versions.indexOf(version) <= versions.indexOf(least)
}
