/**
 * The only error that chooses the status SPIRE gets. Everything else that is thrown becomes "internal error".
 *
 * @module
 */

/** gRPC statuses a plugin may answer with, and their numbers on the wire. */
export const STATUS_CODES = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

/** Name of a status that is not OK. */
export type StatusName = keyof typeof STATUS_CODES

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets the names of a constant
const STATUS_NAMES = Object.keys(STATUS_CODES) as readonly StatusName[]

/** Options of {@link RpcError}. */
export interface RpcErrorOptions {
  /** What was thrown first. It goes to the log and never to the host. */
  readonly cause?: unknown
}

/**
 * A status and a message for the host.
 *
 * SPIRE Agent exits at once on `PERMISSION_DENIED` and retries everything else, so that status is for a verdict on
 * the node and for nothing else. SPIRE puts the plugin's name in front of the message, so the message carries none.
 */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  /** Status the host gets. */
  readonly status: StatusName

  /**
   * @param status Status the host gets.
   * @param message Lower case, no final period, no secret: an unauthenticated caller may read it.
   * @param options What caused it; for the log only.
   */
  constructor(status: StatusName, message: string, options?: RpcErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/**
 * Names the status of a number from the wire.
 *
 * @param code gRPC status code, 1 to 16.
 * @returns Its name; `UNKNOWN` for a number gRPC does not have.
 */
export function statusName(code: number): StatusName {
  return STATUS_NAMES.find((name) => STATUS_CODES[name] === code) ?? 'UNKNOWN'
}
