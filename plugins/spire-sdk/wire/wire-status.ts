/**
 * The one boundary where what was thrown becomes what the host is told.
 *
 * @module
 */
import type { HclogLogger } from '@tower-of-omens/go-plugin'
import { RpcError, STATUS_CODES } from './rpc-error.ts'

/** Status as grpc-js wants it. */
export interface WireStatus {
  /** gRPC status code, 1 to 16. */
  readonly code: number
  /** Text the host reads. */
  readonly details: string
}

/** What the boundary needs to know about the call that failed. */
export interface FailedCall {
  /** Name of the RPC, for the log. */
  readonly method: string
  readonly log: HclogLogger
  /** Aborted when the host has given the call up. */
  readonly signal?: AbortSignal
  /** Translates the plugin's own errors; `undefined` for an error it does not know. */
  readonly mapError?: ((error: unknown) => RpcError | undefined) | undefined
}

/**
 * Turns anything thrown into a status, and logs what the status hides.
 *
 * @param error What was thrown.
 * @param call The call that failed.
 * @returns The `RpcError`'s status and message; `CANCELLED` for a call the host gave up, which is nobody's fault and
 *   not logged; `INTERNAL`, "internal error" for everything unknown, whose cause goes to the log only.
 */
export function toWireStatus(error: unknown, call: FailedCall): WireStatus {
  if (call.signal?.aborted === true) return { code: STATUS_CODES.CANCELLED, details: 'call cancelled' }
  const known = error instanceof RpcError ? error : mapped(error, call)
  if (known === undefined) {
    call.log.error('RPC failed unexpectedly', { method: call.method, error, stack: stackOf(error) })
    return { code: STATUS_CODES.INTERNAL, details: 'internal error' }
  }
  if (known.cause !== undefined) {
    call.log.debug('RPC failed', { method: call.method, status: known.status, error: known })
  }
  return { code: STATUS_CODES[known.status], details: known.message }
}

function mapped(error: unknown, call: FailedCall): RpcError | undefined {
  try {
    return call.mapError?.(error)
  } catch (failure) {
    call.log.error('Error mapping failed', { method: call.method, error: failure })
    return undefined
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined
}
