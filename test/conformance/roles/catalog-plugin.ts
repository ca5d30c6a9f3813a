/**
 * The plugin with which SPIRE tests its catalog: two echo services that call the host back, and a configuration that
 * must start with GOOD.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { type PluginService, RpcError, servePlugin } from '../../../plugins/spire-sdk/index.ts'
import { unary } from '../../../plugins/spire-sdk/runtime/call.ts'
import type { EchoRequest } from '../gen/catalog/echo.ts'

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'good' },
    registerConfig: { type: 'string', default: 'false' },
    /** Announces a service no host knows. */
    unknownService: { type: 'string', default: 'false' },
    /** Needs a host service no host has. */
    needs: { type: 'string' },
  },
})

const HOST_SERVICE = 'test.SomeHostService'

/** Makes one of the two services; both wrap the text and have the host wrap it again. */
function echoService(name: string, wrapper: string): PluginService<string> {
  return {
    name: values.unknownService === 'true' ? `${name}Unknown` : name,
    async bind(runtime) {
      const { SomeHostServiceService, SomePluginService, SomeServiceService } = await import('../gen/catalog/echo.ts')
      const echo = unary(runtime, 'Echo', ({ in: text }: EchoRequest, _config: string, { hosts }) =>
        hosts.call(SomeHostServiceService.hostServiceEcho, { in: `${wrapper}(${text})` }),
      )
      return wrapper === 'plugin'
        ? { definition: SomePluginService, implementation: { pluginEcho: echo } }
        : { definition: SomeServiceService, implementation: { serviceEcho: echo } }
    },
  }
}

void servePlugin<string>({
  name: 'catalog-plugin',
  // Another cookie than SPIRE's: to SPIRE this is no plugin.
  type: values.mode === 'bad' ? 'BAD' : 'SomePlugin',
  services: [echoService('test.SomePlugin', 'plugin'), echoService('test.SomeService', 'service')],
  descriptors: async () => (await import('../gen/catalog/descriptors.ts')).descriptorSet(),
  requiredHostServices: [values.needs ?? HOST_SERVICE],
  ...(values.registerConfig === 'true' ? { config: { build } } : {}),
  close: (log) => log.info('CLOSED'),
})

function build({ hcl, trustDomain }: { hcl: string; trustDomain: string }, { log }: { log: { info: LogInfo } }) {
  log.info('CONFIGURED', { config: hcl })
  if (trustDomain !== 'example.org') throw new RpcError('INVALID_ARGUMENT', `expected trust domain "example.org"`)
  return hcl.startsWith('GOOD') ? { problems: [], config: hcl } : { problems: ['bad config'] }
}

type LogInfo = (message: string, fields?: Readonly<Record<string, unknown>>) => void
