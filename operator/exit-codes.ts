/**
 * The exit codes of `towerkeep`: those of monitoring plugins for what reads, and of sysexits for what cannot be done.
 *
 * @module
 */

/** The codes by name. */
export const EXIT = {
  /** Nothing to complain of; for a change, done or nothing to do. */
  ok: 0,
  /** Something to look at; for a change, done but look. */
  warning: 1,
  /** Something is broken; for a change, failed and rolled back. */
  critical: 2,
  /** It could not be found out; for a change, refused before anything was done. */
  unknown: 3,
  /** The command line or a configuration file is wrong. */
  usage: 64,
  /** A service that the change needs is away. */
  unavailable: 69,
  /** A fault of the program itself. */
  fault: 70,
  /** It may work later. */
  tryLater: 75,
  /** Not permitted. */
  noPermission: 77,
} as const

/** Any of the codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What each code means, for the manual: reads and changes differ in the first four. */
export const EXIT_MEANINGS: readonly (readonly [ExitCode, string, string])[] = [
  [0, 'all is well', 'done, or nothing to do'],
  [1, 'a warning', 'done, but look: an effect is not seen yet, or a hook failed'],
  [2, 'critical', 'failed, and rolled back'],
  [3, 'unknown: it could not be checked', 'refused: a precondition does not hold, or nobody confirmed'],
  [64, 'the command line or a configuration file is wrong', 'the same'],
  [69, 'not used', 'a service that the change needs is away'],
  [70, 'a fault of the program itself', 'the same'],
  [75, 'not used', 'try again later'],
  [77, 'not permitted', 'the same'],
]
