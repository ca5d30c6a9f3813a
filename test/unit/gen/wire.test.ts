import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConnInfo } from '../../../plugins/go-plugin/gen/goplugin/broker.ts'
import { StdioData } from '../../../plugins/go-plugin/gen/goplugin/stdio.ts'
import { PayloadOrChallengeResponse } from '../../../plugins/spire-sdk/gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts'
import { AttestResponse } from '../../../plugins/spire-sdk/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import { ConfigureRequest } from '../../../plugins/spire-sdk/gen/spire/service/common/config/v1/config.ts'

const root = resolve(import.meta.dirname, '..', '..', '..')
const protos = globSync('**/*.proto', { cwd: join(root, 'proto') })

// A second reader and writer of the same wire: proto-loader, which nobody here wrote, reads proto/ at run time.
const other = loadSync(protos, {
  includeDirs: [join(root, 'proto'), join(root, 'node_modules/protoc/protoc/include')],
  keepCase: true,
  longs: String,
  enums: Number,
  bytes: Buffer,
  oneofs: true,
  defaults: true,
})

describe('the generated code', () => {
  it('serves every method under the path and with the streams that proto/ gives it', async () => {
    const generated = await generatedMethods()
    const wanted = methodsOf(other)
    expect(wanted.size).toBeGreaterThan(30)
    expect(generated).toEqual(wanted)
  })

  it('writes what another implementation reads', () => {
    const message = decoderOf('spire.plugin.server.nodeattestor.v1.AttestResponse')
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), fc.boolean(), (spiffeId, selectorValues, canReattest) => {
        const value = { spiffeId, selectorValues, canReattest }
        const bytes = AttestResponse.encode({ response: { $case: 'agentAttributes', value } }).finish()
        expect(message.deserialize(Buffer.from(bytes))).toMatchObject({
          agent_attributes: { spiffe_id: spiffeId, selector_values: selectorValues, can_reattest: canReattest },
        })
      }),
    )
  })

  it('reads what another implementation writes', () => {
    const payload = decoderOf('spire.plugin.agent.nodeattestor.v1.PayloadOrChallengeResponse')
    const configure = decoderOf('spire.service.common.config.v1.ConfigureRequest')
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), fc.string(), (bytes, trustDomain, hcl) => {
        const sent = payload.serialize({ challenge_response: Buffer.from(bytes) })
        expect(PayloadOrChallengeResponse.decode(sent).data).toEqual({
          $case: 'challengeResponse',
          value: Buffer.from(bytes),
        })
        const request = configure.serialize({
          core_configuration: { trust_domain: trustDomain },
          hcl_configuration: hcl,
        })
        expect(ConfigureRequest.decode(request)).toMatchObject({
          coreConfiguration: { trustDomain },
          hclConfiguration: hcl,
        })
      }),
    )
  })

  it('speaks the broker’s and the console’s messages as another implementation does', () => {
    const info = decoderOf('plugin.ConnInfo')
    const stdio = decoderOf('plugin.StdioData')
    const sent = {
      serviceId: 7,
      network: 'unix',
      address: '/tmp/plugin1',
      knock: { knock: true, ack: true, error: 'no' },
    }
    expect(info.deserialize(Buffer.from(ConnInfo.encode(sent).finish()))).toMatchObject({
      service_id: 7,
      network: 'unix',
      address: '/tmp/plugin1',
      knock: { knock: true, ack: true, error: 'no' },
    })
    expect(StdioData.decode(stdio.serialize({ channel: 2, data: Buffer.from('x') }))).toEqual({
      channel: 2,
      data: Buffer.from('x'),
    })
  })
})

interface Method {
  readonly requestStream: boolean
  readonly responseStream: boolean
}

function methodsOf(definitions: PackageDefinition): Map<string, Method> {
  const found = new Map<string, Method>()
  for (const definition of Object.values(definitions)) {
    if ('format' in definition) continue
    for (const { path, requestStream, responseStream } of Object.values(definition)) {
      found.set(path, { requestStream, responseStream })
    }
  }
  return found
}

async function generatedMethods(): Promise<Map<string, Method>> {
  const found = new Map<string, Method>()
  for (const file of globSync('plugins/{go-plugin,spire-sdk,spire-api}/gen/{goplugin,grpc,spire}/**/*.ts', {
    cwd: root,
  })) {
    const module = (await import(join(root, file))) as Record<string, unknown>
    for (const [name, service] of Object.entries(module)) {
      if (!name.endsWith('Service') || typeof service !== 'object' || service === null) continue
      for (const method of Object.values(service) as (Method & { readonly path: string })[]) {
        found.set(method.path, { requestStream: method.requestStream, responseStream: method.responseStream })
      }
    }
  }
  return found
}

function decoderOf(name: string): MessageTypeDefinition<object, object> {
  const definition = other[name]
  if (definition === undefined || !('serialize' in definition)) throw new Error(`proto/ holds no message ${name}`)
  return definition as unknown as MessageTypeDefinition<object, object>
}
