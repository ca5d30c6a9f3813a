/**
 * The log of whoever runs this code; what is written there never holds a quote, nonce, key or response body.
 *
 * @module
 */

/** Function that adds one line with its fields. */
export type LogLine = (message: string, fields?: Readonly<Record<string, unknown>>) => void

/** A log by levels; a part that needs less takes a `Pick` of it. */
export interface Log {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}
