/**
 * The errors of the agent half's own: what is wrong on this node, with a code of the catalogue.
 *
 * @module
 */
import { AttestError, type NodeCode } from '@tower-of-omens/gate'

/** What keeps this node from being attested. */
export class NodeError extends AttestError {
  /**
   * @param code A code of the agent half.
   * @param message One line: what failed, which file or service, what to do.
   * @param cause The error below, for the log.
   */
  constructor(code: NodeCode, message: string, cause?: unknown) {
    super([{ code, message }], cause === undefined ? {} : { cause })
  }
}

/** A {@link NodeError} while the Keylime agent has not done its part yet, which a later attempt may find done. */
export class NotStartedYet extends NodeError {}
