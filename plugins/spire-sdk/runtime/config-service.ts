/**
 * Configure and Validate over one builder, which tells every problem at once.
 *
 * @see spiffe/spire 1.13.3, pkg/common/catalog/configure.go
 * @module
 */

import type { GoPluginService } from '@tower-of-omens/go-plugin'
import { serveUnary } from '@tower-of-omens/go-plugin'
import {
  type ConfigServer,
  ConfigService,
  type ConfigureRequest,
  type ConfigureResponse,
  type CoreConfiguration,
  type ValidateRequest,
  type ValidateResponse,
} from '../gen/spire/service/common/config/v1/config.ts'
import { refusingHostServices } from '../host-services/host-services.ts'
import { RpcError } from '../wire/rpc-error.ts'
import { parseTrustDomain } from '../wire/spiffe-id.ts'
import { toWireStatus } from '../wire/wire-status.ts'
import type { Logger, PluginRuntime, UnaryHandler } from './call.ts'
import type { ConfigBuilder, ConfigOutcome } from './plugin-options.ts'

/** Full name of the service, as announced to SPIRE. */
export const CONFIG_SERVICE_NAME = 'spire.service.common.config.v1.Config'

/**
 * Makes the Config service of a plugin.
 *
 * @param builder The plugin's builder.
 * @param runtime Log, host services and the slot that holds the configuration in force.
 * @returns Service for the server.
 */
export function configService<C>(builder: ConfigBuilder<C>, runtime: PluginRuntime<C>): GoPluginService {
  // One after another: of two Configure calls the later one must win.
  let queue: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const turn = queue.then(run)
    queue = turn.catch(() => undefined)
    return turn
  }
  const implementation: ConfigServer = {
    configure: handler(runtime, 'Configure', (request: ConfigureRequest) =>
      inTurn(() => configure(builder, runtime, request)),
    ),
    validate: handler(runtime, 'Validate', (request: ValidateRequest) => validate(builder, runtime, request)),
  }
  return { definition: ConfigService, implementation }
}

// Without a lease and without a signal: both work unconfigured, and a configuration half built is finished.
function handler<Req, Res, C>(
  runtime: PluginRuntime<C>,
  method: string,
  run: (request: Req) => Promise<Res>,
): UnaryHandler<Req, Res> {
  return serveUnary<Req, Res>(run, (error) =>
    toWireStatus(error, { method, log: runtime.log, mapError: runtime.mapError }),
  )
}

async function configure<C>(
  builder: ConfigBuilder<C>,
  runtime: PluginRuntime<C>,
  request: ConfigureRequest,
): Promise<ConfigureResponse> {
  const { log, hosts, slot } = runtime
  const trustDomain = requireTrustDomain(request.coreConfiguration)
  const outcome = await builder.build({ trustDomain, hcl: request.hclConfiguration }, { mode: 'configure', log, hosts })
  for (const warning of outcome.warnings ?? []) log.warn('Configuration warning', { warning })
  if (outcome.problems.length > 0) {
    await disposeUnused(builder, runtime, outcome)
    throw new RpcError('INVALID_ARGUMENT', outcome.problems.join('; '))
  }
  slot.replace(requireConfig(outcome))
  return {}
}

async function validate<C>(
  builder: ConfigBuilder<C>,
  runtime: PluginRuntime<C>,
  request: ValidateRequest,
): Promise<ValidateResponse> {
  try {
    const trustDomain = requireTrustDomain(request.coreConfiguration)
    const context = { mode: 'validate', log: runtime.log, hosts: refusingHostServices() } as const
    const outcome = await builder.build({ trustDomain, hcl: request.hclConfiguration }, context)
    for (const warning of outcome.warnings ?? []) runtime.log.warn('Configuration warning', { warning })
    await disposeUnused(builder, runtime, outcome)
    return validation(outcome.problems)
  } catch (error) {
    if (error instanceof RpcError && error.status === 'INVALID_ARGUMENT') return validation([error.message])
    throw error
  }
}

// SPIRE ignores `valid` and takes any note for a problem, so a good configuration must have none.
function validation(problems: readonly string[]): ValidateResponse {
  return { valid: problems.length === 0, notes: [...problems] }
}

function requireTrustDomain(core: CoreConfiguration | undefined): string {
  if (core === undefined) throw new RpcError('INVALID_ARGUMENT', 'core configuration is required')
  if (core.trustDomain === '') throw new RpcError('INVALID_ARGUMENT', 'core configuration has no trust domain')
  return parseTrustDomain(core.trustDomain)
}

function requireConfig<C>(outcome: ConfigOutcome<C>): C {
  if ('config' in outcome) return outcome.config
  throw new Error('configuration builder returned neither a problem nor a configuration')
}

async function disposeUnused<C>(
  builder: ConfigBuilder<C>,
  runtime: PluginRuntime<C>,
  outcome: ConfigOutcome<C>,
): Promise<void> {
  if ('config' in outcome) await disposeLogged(builder, runtime.log, outcome.config)
}

/**
 * Releases a configuration; a failure is logged and goes no further.
 *
 * @param builder The plugin's builder.
 * @param log Told of a failure.
 * @param config Configuration that nothing uses any more.
 */
export async function disposeLogged<C>(builder: ConfigBuilder<C> | undefined, log: Logger, config: C): Promise<void> {
  try {
    await builder?.dispose?.(config)
  } catch (error) {
    log.error('Releasing a replaced configuration failed', { error })
  }
}
