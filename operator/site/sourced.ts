/**
 * Values with the place they came from.
 *
 * @module
 */

/** A value, and where it stands. */
export interface Sourced<T> {
  readonly value: T
  /** Such as `/etc/spire/server.conf:12`, `default of spire-server`, or `process 812`. */
  readonly from: string
}

/**
 * Takes the first value that is there.
 *
 * @param values In order of preference.
 * @returns It, or undefined.
 */
export function firstOf<T>(...values: readonly (Sourced<T> | undefined)[]): Sourced<T> | undefined {
  return values.find((value) => value !== undefined)
}

/**
 * Makes a value that nobody wrote down.
 *
 * @param value The value.
 * @param of Whose default it is.
 * @returns The value with that place.
 */
export function byDefault<T>(value: T, of: string): Sourced<T> {
  return { value, from: `default of ${of}` }
}
