/** A gRPC server and clients in one process, over a real socket, for tests of handlers. @module */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'
import { newFedServer } from '../../../plugins/go-plugin/grpc/grpc-server.ts'
import type { GoPluginService } from '../../../plugins/go-plugin/grpc/guarded-service.ts'
import { type ListenPlace, listen } from '../../../plugins/go-plugin/grpc/listener.ts'
import { newHclogLogger } from '../../../plugins/go-plugin/log/hclog.ts'
import type { ClientConstructor } from '../../../plugins/spire-sdk/testing/index.ts'

/** A served service. */
export interface InProcess<C> extends AsyncDisposable {
  readonly client: C
  /** Path of the socket. */
  readonly path: string
  /** Log lines so far. */
  readonly logs: readonly string[]
}

/** Makes a folder for sockets, removed when the test ends. */
export function newPlace(): ListenPlace {
  const folder = mkdtempSync(join(tmpdir(), 'unit-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return { transport: 'unix', folder, group: undefined, ports: { min: 0, max: 0 } }
}

/** Serves one service to one client. */
export async function serveInProcess<C extends { close(): void }>(
  service: GoPluginService,
  kind: ClientConstructor<C>,
): Promise<InProcess<C>> {
  const logs: string[] = []
  const log = newHclogLogger((line) => logs.push(line))
  const server = newFedServer([service], ServerCredentials.createInsecure(), log)
  const listener = await listen(newPlace(), (socket) => server.feed(socket))
  const client = new kind(`unix:${listener.address}`, ChannelCredentials.createInsecure())
  const dispose = (): Promise<void> => {
    client.close()
    listener.close()
    server.close()
    return Promise.resolve()
  }
  return { client, logs, path: listener.address, [Symbol.asyncDispose]: dispose }
}
