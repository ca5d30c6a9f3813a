/** A promise of the project. */
export interface Requirement {
  /** `area:subject:behaviour`, in lower case. */
  readonly id: string
  /** Its short name, which titles may cite too: a letter and two digits, as in `C07`. */
  readonly alias?: string
  /** What an operator or a host would see. */
  readonly promise: string
  /** Why no test shows it yet; absent when one does. */
  readonly deferred?: string
}
