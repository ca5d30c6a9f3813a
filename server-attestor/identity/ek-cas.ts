/**
 * The CA certificates of `ek_ca_path` as the configuration reads them, with what their dates are worth a word for.
 *
 * @module
 */
import { anchorDates, type EkAnchors, loadEkAnchors } from '@tower-of-omens/keylime/evidence'

/** The certificates, or why there are none. */
export interface EkCasRead {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  /** Absent without `ek_ca_path` and with problems. */
  readonly anchors?: EkAnchors
}

/** A collection of every maker has some that are over. */
const MAX_DATES_SHOWN = 5

/**
 * Reads the certificates and looks at their dates.
 *
 * @param path `ek_ca_path`.
 * @param requireDates `require_ek_dates`.
 * @param now Milliseconds since the epoch.
 * @returns Problems and warnings as sentences.
 */
export function readEkCas(path: string | undefined, requireDates: boolean, now: number): EkCasRead {
  if (path === undefined) return { problems: [], warnings: [] }
  const { problems, warnings, anchors } = loadEkAnchors(path)
  const dates = anchors === undefined ? [] : dateWarnings(anchors, requireDates, now)
  return {
    problems: problems.map(ofKey),
    warnings: [...warnings, ...dates].map(ofKey),
    ...(anchors !== undefined && { anchors }),
  }
}

function ofKey(text: string): string {
  return `ek_ca_path: ${text}`
}

function dateWarnings(anchors: EkAnchors, requireDates: boolean, now: number): readonly string[] {
  const late = anchorDates(anchors, now)
  if (late.length === 0) return []
  const shown = late.slice(0, MAX_DATES_SHOWN).map(({ subject, words }) => `${subject} ${words}`)
  const more = late.length > shown.length ? `, and ${String(late.length - shown.length)} more` : ''
  const meaning = requireDates
    ? 'nodes with EK certificates of these have to wait once they are out of date (require_ek_dates)'
    : 'nodes with EK certificates of these are admitted all the same (require_ek_dates is false)'
  return [`CA certificates that are out of date or soon will be: ${shown.join('; ')}${more}; ${meaning}`]
}
