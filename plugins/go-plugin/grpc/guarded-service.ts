/**
 * A gRPC service whose faults stay its own: what a handler throws becomes a status, never a hung call or a dead
 * process.
 *
 * @module
 */
import type { ServiceDefinition, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'
import type { HclogLogger } from '../log/hclog.ts'
import type { WireStatus } from './bidi.ts'

/** A service to serve: generated definition and the functions behind it. */
export interface GoPluginService {
  readonly definition: ServiceDefinition
  readonly implementation: UntypedServiceImplementation
}

/** Status INTERNAL. */
const INTERNAL = 13

/**
 * Turns anything thrown into a status: a gRPC status goes through, all else is "internal error" and goes to the log.
 *
 * @param error What was thrown.
 * @param log Told about errors that carry no status.
 * @param method Path of the method, for the log.
 * @returns Status for the wire.
 */
export function statusOf(error: unknown, log: HclogLogger, method: string): WireStatus {
  // No more than these two: a client's error from another service carries that service's trailers too.
  if (isStatus(error)) return { code: error.code, details: error.details }
  const stack = error instanceof Error ? error.stack : undefined
  log.error('RPC handler failed', { method, error, stack })
  return { code: INTERNAL, details: 'internal error' }
}

function isStatus(error: unknown): error is WireStatus {
  if (typeof error !== 'object' || error === null) return false
  return 'code' in error && typeof error.code === 'number' && 'details' in error && typeof error.details === 'string'
}

/** The part of a grpc-js call that this file touches. */
interface AnyCall {
  emit(event: 'error', status: WireStatus): boolean
}
type AnyHandler = (call: AnyCall, callback?: sendUnaryData<unknown>) => unknown

/**
 * Wraps each function of a service, so that throwing, rejecting and answering with a plain error all reach the
 * caller as a status.
 *
 * @param service Service as its author wrote it.
 * @param log Told about errors that carry no status.
 * @returns Functions for `addService`.
 */
export function guardedImplementation(service: GoPluginService, log: HclogLogger): UntypedServiceImplementation {
  const guarded: UntypedServiceImplementation = {}
  for (const [name, method] of Object.entries(service.definition)) {
    const handler: unknown = service.implementation[name]
    if (typeof handler !== 'function') continue
    const bound: AnyHandler = (...parts) => Reflect.apply(handler, service.implementation, parts) as unknown
    // A method without a response stream answers through a callback, its second argument.
    const wrapped = method.responseStream ? guardStream(bound, log, method.path) : guardUnary(bound, log, method.path)
    Reflect.set(guarded, name, wrapped)
  }
  return guarded
}

function guardUnary(handler: AnyHandler, log: HclogLogger, path: string): AnyHandler {
  return (call, callback) => {
    let answered = false
    const answer: sendUnaryData<unknown> = (error, value, trailer, flags) => {
      if (answered) return
      answered = true
      callback?.(error === null || error === undefined ? null : statusOf(error, log, path), value, trailer, flags)
    }
    settle(
      () => handler(call, answer),
      (error) => answer(statusOf(error, log, path)),
    )
  }
}

function guardStream(handler: AnyHandler, log: HclogLogger, path: string): AnyHandler {
  return (call) => {
    settle(
      () => handler(call),
      (error) => call.emit('error', statusOf(error, log, path)),
    )
  }
}

function settle(run: () => unknown, onError: (error: unknown) => void): void {
  try {
    const result = run()
    if (result instanceof Promise) result.catch(onError)
  } catch (error) {
    onError(error)
  }
}
