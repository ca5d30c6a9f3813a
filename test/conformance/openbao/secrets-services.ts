/**
 * The services of the secrets engine.
 *
 * @module
 */
import type { Metadata } from '@grpc/grpc-js'
import type { GoPluginContext, GoPluginService } from '../../../plugins/go-plugin/index.ts'
import { unary } from '../../../plugins/spire-sdk/testing/index.ts'
import {
  BackendService,
  type HandleExistenceCheckArgs,
  type HandleRequestArgs,
  type HandleRequestReply,
  type PluginEnvReply,
  type Request,
  type SetupArgs,
  StorageClient,
  type StorageGetReply,
  type StorageIsTransactionalReply,
  type StorageListReply,
  type StorageReply,
  SystemViewClient,
  type TTLReply,
} from '../gen/openbao/backend.ts'
import { type Answering, answeringWith, commonServices, mountOf } from './plugin-services.ts'

interface Mount {
  readonly storage: StorageClient
  readonly system: SystemViewClient
}

const UNSUPPORTED_OPERATION = 6
const SECRETS_ENGINE = 1

/** Makes the services of the engine. */
export function secretsServices({ broker, log }: GoPluginContext): GoPluginService[] {
  const mounts = new Map<string, Mount>()
  const answering = answeringWith(log)
  const mountFor = (metadata: Metadata): Mount => {
    const mount = mounts.get(mountOf(metadata))
    if (mount === undefined) throw new Error(`mount ${mountOf(metadata)} was never set up`)
    return mount
  }
  const implementation = {
    ...requestHandlers(mountFor, answering),
    setup: answering(async ({ brokerId }: SetupArgs, { metadata }) => {
      const { target, credentials, options } = await broker.dial(brokerId)
      const clients = [StorageClient, SystemViewClient].map((kind) => new kind(target, credentials, options))
      mounts.set(mountOf(metadata), { storage: clients[0] as StorageClient, system: clients[1] as SystemViewClient })
      return { err: '' }
    }),
    initialize: answering(() => ({ err: undefined })),
    specialPaths: answering(() => ({ paths: { root: [], unauthenticated: ['open/*'] } })),
    cleanup: answering((_request: object, { metadata }) => {
      mounts.get(mountOf(metadata))?.storage.close()
      mounts.delete(mountOf(metadata))
      return {}
    }),
    invalidateKey: answering(() => ({})),
    type: answering(() => ({ type: SECRETS_ENGINE })),
  }
  return [{ definition: BackendService, implementation }, ...commonServices('v0.1.0', answering)]
}

function requestHandlers(mountFor: (metadata: Metadata) => Mount, answering: Answering) {
  return {
    handleRequest: answering(({ request }: HandleRequestArgs, { metadata }) => {
      if (request === undefined) throw new Error('OpenBao sent no request')
      return handle(request, mountFor(metadata))
    }),
    handleExistenceCheck: answering(async ({ request }: HandleExistenceCheckArgs, { metadata }) => {
      const { storage } = mountFor(metadata)
      const { entry } = await unary<StorageGetReply>((done) => storage.get({ key: request?.path ?? '' }, done))
      return { checkFound: true, exists: entry !== undefined, err: undefined }
    }),
  }
}

const NOTHING: HandleRequestReply = { response: undefined, err: undefined }

async function handle(request: Request, { storage, system }: Mount): Promise<HandleRequestReply> {
  const { path: key, data, operation } = request
  switch (operation) {
    case 'create':
    case 'update': {
      misbehave(key)
      const entry = { key, value: Buffer.from(data) }
      const { err } = await unary<StorageReply>((done) => storage.put({ entry }, done))
      if (err !== '') throw new Error(err)
      return NOTHING
    }
    case 'read': {
      if (key === 'system') return answer(await systemFacts(storage, system))
      const { entry } = await unary<StorageGetReply>((done) => storage.get({ key }, done))
      if (entry === undefined) return NOTHING
      return answer({ ...(JSON.parse(entry.value.toString()) as object), served_by: process.pid })
    }
    case 'list':
      return answer({ keys: (await unary<StorageListReply>((done) => storage.list({ prefix: key }, done))).keys })
    case 'delete':
      await unary<StorageReply>((done) => storage.delete({ key }, done))
      return NOTHING
    case 'rollback':
      return NOTHING
    default: {
      const err = { errType: UNSUPPORTED_OPERATION, errMsg: 'unsupported operation', errCode: 0n }
      return { response: undefined, err }
    }
  }
}

function answer(data: object): HandleRequestReply {
  return { response: { data: JSON.stringify(data) }, err: undefined }
}

async function systemFacts(storage: StorageClient, system: SystemViewClient): Promise<object> {
  const { TTL } = await unary<TTLReply>((done) => system.defaultLeaseTtl({}, done))
  const { pluginEnvironment } = await unary<PluginEnvReply>((done) => system.pluginEnv({}, done))
  const { transactional } = await unary<StorageIsTransactionalReply>((done) => storage.isTransactional({}, done))
  return { ttl_seconds: Number(TTL / 1_000_000_000n), version: pluginEnvironment?.vaultVersion, transactional }
}

/** Does what a bad day does to a plugin, for paths that ask for it. */
function misbehave(path: string): void {
  if (path === 'stray') {
    setTimeout(() => {
      throw new Error('stray error')
    }, 0)
  }
  if (path === 'kill') process.kill(process.pid, 'SIGKILL')
}
