/**
 * A plugin served inside the test, so that a debugger, a coverage tool and the test's own variables reach its code. The rest
 * is real: go-plugin's server and broker on a unix socket, SPIRE's Init, Configure and Deinit.
 *
 * @module
 */
import { attachPlugin, type HostLogEntry, newHostLogParser } from '@tower-of-omens/go-plugin/host'
import { serveReattachable } from '@tower-of-omens/go-plugin/reattach'
import { HOST_SERVICES_ID } from '../host-services/host-services.ts'
import { goPluginOptions } from '../runtime/go-plugin-options.ts'
import type { PluginOptions } from '../runtime/plugin-options.ts'
import type { DrivenPlugin } from './driven-plugin.ts'
import { type FakeHost, fakeHost } from './fake-host.ts'
import { configure, deinitPlugin, initPlugin } from './spire-host.ts'

/** How to serve a plugin to a test. */
export interface ServeForTestOptions {
  /** The host it finds; default an empty `spire-server`. */
  readonly host?: FakeHost
  /** Text of `plugin_data` to configure it with; without it the plugin is not configured. */
  readonly hcl?: string
  /** Trust domain of that configuration; default `example.org`. */
  readonly trustDomain?: string
}

/** A plugin that serves inside the test. */
export interface TestPlugin extends DrivenPlugin, AsyncDisposable {
  readonly host: FakeHost
  /** Full gRPC names that the plugin announced, its type first. */
  readonly serviceNames: readonly string[]
  /** Everything it logged, as SPIRE would show it. */
  readonly logs: readonly HostLogEntry[]
  /** Unloads it, as SPIRE does at its end; once. */
  readonly close: () => Promise<void>
}

/**
 * Serves a plugin, loads it as SPIRE does, and configures it if asked. End it with `close`, or by `await using`.
 *
 * @param options What the plugin hands to `servePlugin`.
 * @param around See `ServeForTestOptions`.
 * @returns The plugin, for the drivers of this folder.
 * @throws {ServiceError} The plugin misses a service of the host, or refuses the configuration.
 */
export async function serveForTest<C>(
  options: PluginOptions<C>,
  around: ServeForTestOptions = {},
): Promise<TestPlugin> {
  const { host = fakeHost(), hcl, trustDomain = 'example.org' } = around
  const logs: HostLogEntry[] = []
  const parse = newHostLogParser()
  const server = await serveReattachable(goPluginOptions(options), (line) => logs.push(parse(line)))
  const attached = await attachPlugin(server.reattach)
  const hosted = await attached.serveHostServices(HOST_SERVICES_ID, host.services)
  const end = async (): Promise<void> => {
    hosted.close()
    attached.detach()
    await server.shutdown()
  }
  const { client } = attached
  try {
    const serviceNames = await initPlugin({ client }, host.names)
    if (hcl !== undefined) await configure({ client }, { trustDomain, hcl })
    let closed: Promise<void> | undefined
    const close = (): Promise<void> => (closed ??= unload({ client }, end))
    return { client, host, serviceNames, logs, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await end()
    throw error
  }
}

async function unload(plugin: DrivenPlugin, end: () => Promise<void>): Promise<void> {
  try {
    await deinitPlugin(plugin)
  } finally {
    await end()
  }
}
