/**
 * One RPC from the host: its context, its configuration, its end.
 *
 * The call types are structural, so that gRPC itself stays in plugins/go-plugin.
 *
 * @module
 */
import type { HclogLogger } from '@tower-of-omens/go-plugin'
import { serveUnary } from '@tower-of-omens/go-plugin'
import type { HostServices } from '../host-services/host-services.ts'
import type { RpcError } from '../wire/rpc-error.ts'
import { toWireStatus, type WireStatus } from '../wire/wire-status.ts'
import type { ConfigSlot } from './config-slot.ts'

/** Logger whose lines the host shows with their level and fields. */
export type Logger = HclogLogger

/** Headers the host sent with the call. */
export interface CallMetadata {
  /**
   * Reads one header. Servers of SPIRE 1.13.3 and newer send `x-untrusted-forwarded-host`, chosen by the caller;
   * 1.15.2 and newer also `x-forwarded-client-ip`.
   *
   * @param name Header, in any case.
   * @returns Its first value; `undefined` when it was not sent, or is binary.
   */
  get(name: string): string | undefined
}

/** What every RPC gets beside its request. */
export interface CallContext {
  /** Aborted when the host cancels the call or its deadline passes. */
  readonly signal: AbortSignal
  readonly log: Logger
  readonly hosts: HostServices
  readonly metadata: CallMetadata
}

/** What the services of one plugin process share. */
export interface PluginRuntime<C> {
  readonly log: Logger
  readonly hosts: HostServices
  readonly slot: ConfigSlot<C>
  readonly mapError?: ((error: unknown) => RpcError | undefined) | undefined
}

/** Handler of an RPC with one request and one response. */
export type UnaryHandler<Req, Res> = ReturnType<typeof serveUnary<Req, Res>>

/** The part of grpc-js metadata this module uses. */
export interface IncomingMetadata {
  get(key: string): readonly unknown[]
}

/** The part of a grpc-js call this module uses: one request, many responses. */
export interface ServerStreamCall<Req, Res> {
  readonly request: Req
  readonly metadata: IncomingMetadata
  on(event: 'cancelled', listener: () => void): unknown
  write(message: Res): boolean
  end(): unknown
  once(event: 'drain' | 'cancelled', listener: () => void): unknown
  off(event: 'drain' | 'cancelled', listener: () => void): unknown
  emit(event: 'error', status: WireStatus): boolean
}

/**
 * Makes the context of one call.
 *
 * @param runtime What the plugin's services share.
 * @param metadata Headers of the call.
 * @param signal Aborted when the host gives up.
 * @returns Context for the plugin's code.
 */
export function callContext<C>(
  runtime: PluginRuntime<C>,
  metadata: IncomingMetadata,
  signal: AbortSignal,
): CallContext {
  return {
    signal,
    log: runtime.log,
    hosts: runtime.hosts,
    metadata: {
      get(name) {
        const value = metadata.get(name)[0]
        return typeof value === 'string' ? value : undefined
      },
    },
  }
}

/**
 * Makes the handler of an RPC with one request and one response.
 *
 * @param runtime What the plugin's services share.
 * @param method Name of the RPC, for the log.
 * @param run The plugin's code; what it throws becomes a status.
 * @returns Handler for grpc-js.
 */
export function unary<C, Req, Res>(
  runtime: PluginRuntime<C>,
  method: string,
  run: (request: Req, config: C, context: CallContext) => Promise<Res> | Res,
): UnaryHandler<Req, Res> {
  return serveUnary<Req, Res>(
    (request, { metadata, signal }) =>
      withConfig(runtime.slot, (config) => run(request, config, callContext(runtime, metadata, signal))),
    (error) => toWireStatus(error, { method, log: runtime.log, mapError: runtime.mapError }),
  )
}

/**
 * Makes the handler of an RPC with one request and a stream of responses.
 *
 * @param runtime What the plugin's services share.
 * @param method Name of the RPC, for the log.
 * @param run The plugin's code: an async generator. It must stop when the context's signal aborts.
 * @returns Handler for grpc-js.
 */
export function serverStream<C, Req, Res>(
  runtime: PluginRuntime<C>,
  method: string,
  run: (request: Req, config: C, context: CallContext) => AsyncIterable<Res>,
): (call: ServerStreamCall<Req, Res>) => void {
  return (call) => {
    const cancel = new AbortController()
    call.on('cancelled', () => cancel.abort())
    const { signal } = cancel
    const context = callContext(runtime, call.metadata, signal)
    void withConfig(runtime.slot, (config) => pump(call, run(call.request, config, context), signal)).then(
      () => call.end(),
      (error: unknown) =>
        call.emit('error', toWireStatus(error, { method, log: runtime.log, signal, mapError: runtime.mapError })),
    )
  }
}

/**
 * Runs code with the configuration in force, and holds on to that configuration until the code has ended.
 *
 * @param slot Where the configuration is.
 * @param run Code to run.
 * @returns What the code returns.
 * @throws {RpcError} `FAILED_PRECONDITION`: nothing is configured; and whatever the code throws.
 */
export async function withConfig<C, T>(slot: ConfigSlot<C>, run: (config: C) => Promise<T> | T): Promise<T> {
  const lease = slot.acquire()
  try {
    return await run(lease.config)
  } finally {
    lease.release()
  }
}

async function pump<Req, Res>(
  call: ServerStreamCall<Req, Res>,
  responses: AsyncIterable<Res>,
  signal: AbortSignal,
): Promise<void> {
  for await (const response of responses) {
    if (signal.aborted) return
    if (!call.write(response)) await drained(call, signal)
  }
}

/** Waits until grpc-js takes more, so that a host which does not read costs no memory. */
function drained<Req, Res>(call: ServerStreamCall<Req, Res>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done)
      call.off('cancelled', done)
      resolve()
    }
    call.once('drain', done)
    call.once('cancelled', done)
  })
}
