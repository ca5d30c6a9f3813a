/** A SPIRE plugin without the SDK, both halves of node attestation scripted by what it receives. @module */

import { type BidiStream, serveBidi, type WireStatus } from '../../../plugins/go-plugin/grpc/bidi.ts'
import { serveUnary } from '../../../plugins/go-plugin/grpc/unary.ts'
import { type GoPluginService, serveGoPlugin } from '../../../plugins/go-plugin/serve/server.ts'
import * as agent from '../../../plugins/spire-sdk/gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts'
import * as server from '../../../plugins/spire-sdk/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import {
  ConfigService,
  type ConfigureRequest,
  type ConfigureResponse,
  type ValidateRequest,
  type ValidateResponse,
} from '../../../plugins/spire-sdk/gen/spire/service/common/config/v1/config.ts'
import {
  type DeinitRequest,
  type DeinitResponse,
  type InitRequest,
  type InitResponse,
  InitService,
} from '../../../plugins/spire-sdk/gen/spire/service/private/init/v1/init.ts'

/** What ends a call with a status. */
class Refusal extends Error {
  readonly code: number
  readonly details: string
  constructor(code: number, details: string) {
    super(details)
    this.code = code
    this.details = details
  }
}

function toStatus(error: unknown): WireStatus {
  return error instanceof Refusal ? error : { code: 13, details: 'internal error' }
}

async function attest(stream: BidiStream<server.AttestRequest, server.AttestResponse>): Promise<void> {
  const payload = (await stream.receive())?.request?.value.toString() ?? ''
  if (payload === 'refuse') throw new Refusal(7, 'not today')
  if (payload === 'end') return
  if (payload === 'nothing') return await stream.send({ response: undefined })
  const answers: string[] = []
  for (let i = 0; i < 3; i++) {
    await stream.send({ response: { $case: 'challenge', value: Buffer.from(`challenge ${i}`) } })
    answers.push((await stream.receive())?.request?.value.toString() ?? '')
  }
  if (payload === 'late') throw new Refusal(9, 'too late')
  const client = stream.metadata.get('x-forwarded-client-ip').join(',')
  const attributes = { spiffeId: `spiffe://td/${payload}`, selectorValues: [...answers, client], canReattest: true }
  await stream.send({ response: { $case: 'agentAttributes', value: attributes } })
}

async function aidAttestation(stream: BidiStream<agent.Challenge, agent.PayloadOrChallengeResponse>): Promise<void> {
  await stream.send({ data: { $case: 'payload', value: Buffer.from('payload') } })
  for (let next = await stream.receive(); next !== undefined; next = await stream.receive()) {
    const challenge = next.challenge.toString()
    if (challenge === 'end') return
    if (challenge === 'refuse') throw new Refusal(14, 'no TPM')
    const value = challenge === 'empty' ? Buffer.alloc(0) : Buffer.from(`answer to ${challenge}`)
    await stream.send({ data: { $case: 'challengeResponse', value } })
  }
}

function services(): readonly GoPluginService[] {
  const names = ['spire.plugin.server.nodeattestor.v1.NodeAttestor', 'spire.service.common.config.v1.Config']
  const init = serveUnary<InitRequest, InitResponse>(
    ({ hostServiceNames }) => ({ pluginServiceNames: [...names, ...hostServiceNames] }),
    toStatus,
  )
  const deinit = serveUnary<DeinitRequest, DeinitResponse>(() => ({}), toStatus)
  const configure = serveUnary<ConfigureRequest, ConfigureResponse>((request) => {
    if (request.hclConfiguration !== 'good') {
      throw new Refusal(3, `bad config for ${request.coreConfiguration?.trustDomain}`)
    }
    return {}
  }, toStatus)
  const validate = serveUnary<ValidateRequest, ValidateResponse>((request) => {
    const valid = request.hclConfiguration === 'good'
    return { valid, notes: valid ? [] : ['bad config'] }
  }, toStatus)
  return [
    { definition: InitService, implementation: { init, deinit } },
    { definition: ConfigService, implementation: { configure, validate } },
    { definition: server.NodeAttestorService, implementation: { attest: serveBidi(attest, toStatus) } },
    { definition: agent.NodeAttestorService, implementation: { aidAttestation: serveBidi(aidAttestation, toStatus) } },
  ]
}

await serveGoPlugin({ name: 'attestor-plugin', cookie: { key: 'NodeAttestor', value: 'NodeAttestor' }, services })
