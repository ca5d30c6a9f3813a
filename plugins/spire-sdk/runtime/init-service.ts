/**
 * Init and Deinit, the first and the last call SPIRE makes.
 *
 * @see spiffe/spire-plugin-sdk 13afea2, private/init.go
 * @module
 */

import type { GoPluginService } from '@tower-of-omens/go-plugin'
import { serveUnary } from '@tower-of-omens/go-plugin'
import {
  type DeinitRequest,
  type DeinitResponse,
  type InitRequest,
  type InitResponse,
  type InitServer,
  InitService,
} from '../gen/spire/service/private/init/v1/init.ts'
import { type AnnouncedHostServices, requireOffered } from '../host-services/host-services.ts'
import { toWireStatus } from '../wire/wire-status.ts'
import type { Logger } from './call.ts'

/** What Init and Deinit need. */
export interface InitOptions {
  /** Full names of everything the plugin serves, the plugin type first. */
  readonly pluginServices: readonly string[]
  /** Full names of the host services without which the plugin cannot work. */
  readonly requiredHostServices: readonly string[]
  readonly hosts: AnnouncedHostServices
  readonly log: Logger
  /** Releases everything. Called at Deinit; SPIRE waits 10 s. */
  readonly close: () => Promise<void>
}

/**
 * Makes the Init service.
 *
 * @param options Names and what to do at the end.
 * @returns Service for the server.
 */
export function initService(options: InitOptions): GoPluginService {
  const status = (method: string) => (error: unknown) => toWireStatus(error, { method, log: options.log })
  const implementation: InitServer = {
    init: serveUnary((request: InitRequest) => introduce(request, options), status('Init')),
    deinit: serveUnary((_request: DeinitRequest) => release(options), status('Deinit')),
  }
  return { definition: InitService, implementation }
}

function introduce(request: InitRequest, options: InitOptions): InitResponse {
  for (const name of options.requiredHostServices) requireOffered(request.hostServiceNames, name)
  options.hosts.announce(request.hostServiceNames)
  return { pluginServiceNames: [...options.pluginServices] }
}

async function release(options: InitOptions): Promise<DeinitResponse> {
  await options.close()
  return {}
}
