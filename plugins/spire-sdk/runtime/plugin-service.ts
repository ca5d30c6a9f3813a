/**
 * What a plugin serves: one gRPC service, bound to the process's configuration, log and host services.
 *
 * @module
 */
import type { GoPluginService } from '@tower-of-omens/go-plugin'
import type { PluginRuntime } from './call.ts'

/** One service of a plugin, made by `serverNodeAttestor`, `agentKeyManager` and their kin. */
export interface PluginService<C> {
  /** Full gRPC name, as announced to SPIRE. */
  readonly name: string
  /**
   * Binds the service to what the plugin's services share. It runs after the handshake line is out, and only then
   * loads the generated code, and with it gRPC.
   *
   * @param runtime Configuration, log, host services.
   * @returns Definition and handlers for the server.
   */
  bind(runtime: PluginRuntime<C>): Promise<GoPluginService>
}

/**
 * Views bytes as the `Buffer` the generated code writes, without copying.
 *
 * @param bytes Any bytes.
 * @returns The same memory.
 */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
