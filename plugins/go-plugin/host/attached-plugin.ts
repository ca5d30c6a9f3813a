/**
 * Attaches to a plugin that serves already, as a Go host reattaches: it starts no process and ends none.
 *
 * @see hashicorp/go-plugin dd3617a, client.go (reattach)
 * @module
 */
import type { Broker, BrokeredServer, DialTarget } from '../broker/broker.ts'
import type { GoPluginService } from '../grpc/guarded-service.ts'
import type { ReattachConfig } from '../serve/reattach.ts'
import { connectHost } from './host-connection.ts'
import type { ClientConstructor } from './plugin-process.ts'

/** A plugin that somebody else started, dialled. */
export interface AttachedPlugin {
  /** Arguments for a client with a connection of its own; `client` shares the host's one connection. */
  readonly connection: DialTarget
  readonly broker: Broker
  /** Makes a generated client, once per kind, on the host's connection. */
  readonly client: <C>(kind: ClientConstructor<C>) => C
  /** Serves to the plugin under a broker id, as SPIRE serves its host services under 1. */
  readonly serveHostServices: (serviceId: number, services: readonly GoPluginService[]) => Promise<BrokeredServer>
  /** Leaves the plugin, which serves on. */
  readonly detach: () => void
}

/**
 * Dials a plugin that `serveReattachable`, here or in another process, serves.
 *
 * @param config Where it is.
 * @returns The plugin; the caller detaches.
 */
export async function attachPlugin(config: ReattachConfig): Promise<AttachedPlugin> {
  const { protocolVersion: appVersion, network, address } = config
  const handshake = { appVersion, network, address, serverCert: '', multiplex: undefined }
  const connection = await connectHost({ handshake, keys: undefined, multiplex: false, readStdio: false })
  return {
    connection: connection.target,
    broker: connection.broker,
    client: connection.client,
    serveHostServices: (serviceId, services) => connection.broker.accept(serviceId, services),
    detach: connection.close,
  }
}
