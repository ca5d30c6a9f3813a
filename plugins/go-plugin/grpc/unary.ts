/**
 * One unary gRPC call as an async function.
 *
 * @module
 */
import type { handleUnaryCall, Metadata } from '@grpc/grpc-js'
import { CallCancelledError, type WireStatus } from './bidi.ts'

/** What a handler may know about its call, besides the request. */
export interface UnaryCall {
  /** Aborts when the caller cancels, its deadline passes, or its connection ends. */
  readonly signal: AbortSignal
  readonly metadata: Metadata
}

/**
 * Makes a gRPC handler from an async function.
 *
 * @param handle Answers one request.
 * @param toStatus Turns anything thrown into a status.
 * @returns Handler for `addService`.
 */
export function serveUnary<Request, Response>(
  handle: (request: Request, call: UnaryCall) => Response | Promise<Response>,
  toStatus: (error: unknown) => WireStatus,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const cancel = new AbortController()
    call.on('cancelled', () => cancel.abort(new CallCancelledError('call cancelled')))
    const answer = async (): Promise<void> => {
      try {
        callback(null, await handle(call.request, { signal: cancel.signal, metadata: call.metadata }))
      } catch (error) {
        callback(cancel.signal.aborted ? new CallCancelledError('call cancelled') : toStatus(error))
      }
    }
    void answer()
  }
}
