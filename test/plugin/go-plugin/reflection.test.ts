import { join } from 'node:path'
import { toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { type Client, makeGenericClientConstructor, type ServiceDefinition, type ServiceError } from '@grpc/grpc-js'
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type ClientConstructor,
  launchPlugin,
  type PluginProcess,
  unary,
} from '../../../plugins/spire-sdk/testing/index.ts'
import { askReflection, describeServices, filesOf, listServices } from './reflection-client.ts'
import { launchTrial, until } from './trial.ts'

const ROOT = join(import.meta.dirname, '../../..')
const VERSIONS = ['v1', 'v1alpha'] as const

const STANDARD = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'plugin.GRPCBroker',
  'plugin.GRPCController',
  'plugin.GRPCStdio',
]

/** Plugins: file, cookie, and what it serves besides the standard services. */
const SPIRE = ['spire.service.common.config.v1.Config', 'spire.service.private.init.v1.Init']
const NODE = { key: 'NodeAttestor', value: 'NodeAttestor' }
const SOME = { key: 'SomePlugin', value: 'SomePlugin' }
const BASIC = { key: 'BASIC_PLUGIN', value: 'hello' }
const PLUGINS = [
  ['server-attestor/main.ts', NODE, ['spire.plugin.server.nodeattestor.v1.NodeAttestor', ...SPIRE]],
  ['agent-attestor/main.ts', NODE, ['spire.plugin.agent.nodeattestor.v1.NodeAttestor', ...SPIRE]],
  ['test/conformance/roles/catalog-plugin.ts', SOME, [SPIRE[1], 'test.SomePlugin', 'test.SomeService']],
  ['test/conformance/roles/example-plugin.ts', BASIC, ['grpctest.Test', 'proto.Counter', 'proto.KV']],
] as const

async function launch(file: string, cookie: { key: string; value: string }): Promise<PluginProcess> {
  const plugin = await launchPlugin({ command: process.execPath, args: [join(ROOT, file)], cookie })
  onTestFinished(async () => void (await plugin.shutdown()))
  return plugin
}

function failure(errorCode: number, errorMessage: string): object {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } }
}

describe('the reflection services', () => {
  it.each(VERSIONS)('list every service to %s [C18]', async (version) => {
    await using plugin = await launchTrial()
    expect(await listServices(plugin, version)).toEqual([...STANDARD, 'trial.Trial'])
  })

  it.each(PLUGINS)('describe every service of %s, to the last message, to both versions [C18]', async (...row) => {
    const [file, cookie, own] = row
    const plugin = await launch(file, cookie)
    for (const version of VERSIONS) {
      const names = await listServices(plugin, version)
      expect(new Set(names)).toEqual(new Set([...STANDARD, ...own]))
      const services = await describeServices(plugin, names, version)
      expect(services.map(({ typeName }) => typeName)).toEqual(names)
      expect(services.filter(({ methods }) => methods.length === 0)).toEqual([])
    }
  })

  it('tell enough to call a service nobody has the .proto files of [C18]', async () => {
    const plugin = await launch('test/conformance/roles/example-plugin.ts', BASIC)
    const [answer] = await askReflection(plugin, [{ $case: 'fileContainingSymbol', value: 'proto.KV' }])
    const set = Buffer.from(toBinary(FileDescriptorSetSchema, filesOf(answer)))
    // A third implementation makes the client.
    const definition = loadFileDescriptorSetFromBuffer(set)['proto.KV'] as unknown as ServiceDefinition
    const kind = makeGenericClientConstructor(definition, 'KV') as unknown as ClientConstructor<KvClient>
    const client = plugin.client(kind)
    await unary<object>((done) => client.put({ key: 'a', value: Buffer.from('b') }, done))
    expect(await unary<object>((done) => client.get({ key: 'a' }, done))).toEqual({ value: Buffer.from('b') })
  })

  it('find files by name and by what they declare, and say of each question what there is not [C18]', async () => {
    const plugin = await launch('server-attestor/main.ts', NODE)
    const message = 'spire.plugin.server.nodeattestor.v1.AttestResponse'
    const answers = await askReflection(plugin, [
      { $case: 'fileByFilename', value: 'goplugin/stdio.proto' },
      { $case: 'fileByFilename', value: 'nope.proto' },
      { $case: 'fileContainingSymbol', value: 'nope.Nope' },
      { $case: 'fileContainingExtension', value: { containingType: message, extensionNumber: 7 } },
      { $case: 'allExtensionNumbersOfType', value: message },
      { $case: 'allExtensionNumbersOfType', value: 'nope.Nope' },
      undefined,
      { $case: 'fileContainingSymbol', value: message },
    ])
    const [byName, ...others] = answers
    const last = others.pop()
    expect(filesOf(byName).file.map(({ name }) => name)).toEqual([
      'goplugin/stdio.proto',
      'google/protobuf/empty.proto',
    ])
    expect(filesOf(last).file[0]?.messageType.map(({ name }) => name)).toContain('AttestResponse')
    expect(others).toEqual([
      failure(5, 'no file nope.proto'),
      failure(5, 'no symbol nope.Nope'),
      failure(5, `no extension 7 of ${message}`),
      { $case: 'allExtensionNumbersResponse', value: { baseTypeName: message, extensionNumber: [] } },
      failure(5, 'no message nope.Nope'),
      failure(12, 'request asks for nothing this server knows'),
    ])
  })

  it('describe the rest of a plugin that has no descriptors of its own, and say so of its own [C18]', async () => {
    await using plugin = await launchTrial()
    const [own] = await askReflection(plugin, [{ $case: 'fileContainingSymbol', value: 'trial.Trial' }])
    expect(own).toEqual(failure(5, 'the plugin serves trial.Trial but has no descriptor of it'))
    expect(await describeServices(plugin, STANDARD)).toHaveLength(STANDARD.length)
  })

  it('log once, when first asked, that the descriptors of a plugin are none [C18]', async () => {
    await using plugin = await launchTrial({ env: { TRIAL_BAD_DESCRIPTORS: '1' } })
    await listServices(plugin)
    expect(plugin.logs).toEqual([])
    for (const version of VERSIONS) expect(await describeServices(plugin, STANDARD, version)).toHaveLength(6)
    await until(() => plugin.logs.length > 0, 'the error is logged')
    await plugin.shutdown()
    expect(plugin.logs).toHaveLength(1)
    expect(plugin.logs[0]).toMatchObject({ level: 'error', message: 'Descriptors of the plugin cannot be read' })
    expect(plugin.logs[0]?.fields['error']).toMatch(/^no FileDescriptorSet: /)
  })
})

type Done = (error: ServiceError | null, response: object) => void

interface KvClient extends Client {
  put(request: object, done: Done): void
  get(request: object, done: Done): void
}
