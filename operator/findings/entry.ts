/**
 * The shape of a catalogue entry.
 *
 * @module
 */

/** What an ID means, for people who meet it in a log or an alert. */
export interface FindingEntry {
  readonly severity: 'info' | 'warn' | 'crit' | 'unknown'
  /** One line. */
  readonly meaning: string
  readonly cause: string
  /** What to do next. */
  readonly next: string
  /** Incidents of operators that it would have named. */
  readonly incidents: readonly string[]
}
