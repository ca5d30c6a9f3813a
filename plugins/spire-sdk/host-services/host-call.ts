/**
 * One call to a service of the host: its method, its bounds.
 *
 * @module
 */

/** How long one call to the host may take unless the caller says otherwise. */
export const HOST_CALL_TIMEOUT_MS = 10_000

/** One unary method of a generated service definition. */
export interface HostMethod<Req, Res> {
  /** Such as `/spire.hostservice.common.metrics.v1.Metrics/SetGauge`. */
  readonly path: string
  readonly requestSerialize: (value: Req) => Buffer
  readonly responseDeserialize: (value: Buffer) => Res
}

/** Options of one call to the host. */
export interface HostCallOptions {
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined
  /** Bound of the whole call; {@link HOST_CALL_TIMEOUT_MS} by default. */
  readonly timeoutMs?: number | undefined
}

/** Function that calls one method of a host service. */
export type HostCall = <Req, Res>(method: HostMethod<Req, Res>, request: Req, options?: HostCallOptions) => Promise<Res>
