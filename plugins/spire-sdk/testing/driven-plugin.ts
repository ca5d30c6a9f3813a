/**
 * What every driver of this folder needs of a plugin, wherever it runs.
 *
 * @module
 */
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { ClientConstructor } from '@tower-of-omens/go-plugin/host'

/** A plugin that can be called: a process of its own, or served in this one. */
export interface DrivenPlugin {
  /** Makes a generated client, once per kind, on the host's connection. */
  readonly client: <C>(kind: ClientConstructor<C>) => C
}

type Callback<R> = (error: ServiceError | null, response: R) => void

/**
 * Makes a promise of a call that answers through a callback.
 *
 * @param start Starts the call.
 * @returns The response.
 * @throws {ServiceError} The call ended with a status.
 */
export function unary<R>(start: (callback: Callback<R>) => unknown): Promise<R> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error === null) resolve(response)
      else reject(error)
    })
  })
}

/**
 * Reads a stream of the plugin, and cancels it when the reader has seen enough, as SPIRE does.
 *
 * @param call Call just started.
 * @param read Takes from a message what the caller wants.
 * @yields What was taken from each message, as they come.
 * @throws {ServiceError} The call ended with a status.
 */
export async function* messages<Received, Told>(
  call: ClientReadableStream<Received>,
  read: (message: Received) => Told,
): AsyncGenerator<Told> {
  try {
    for await (const message of call as AsyncIterable<Received>) yield read(message)
  } finally {
    call.cancel()
  }
}
