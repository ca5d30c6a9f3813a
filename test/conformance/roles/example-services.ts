/**
 * Services of the example plugin. Loaded with gRPC, after the handshake line.
 *
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import type { Broker } from '../../../plugins/go-plugin/broker/broker.ts'
import { serveUnary } from '../../../plugins/go-plugin/grpc/unary.ts'
import type { GoPluginContext, GoPluginService } from '../../../plugins/go-plugin/serve/server.ts'
import { AddHelperClient, type CounterServer, CounterService, type PutRequest } from '../gen/counter/counter.ts'
import { type KVServer, KVService } from '../gen/kv/kv.ts'
import { testService, unavailable } from './test-service.ts'

/** Makes the services. */
export function exampleServices(context: GoPluginContext): readonly GoPluginService[] {
  const store = newStore()
  return [
    { definition: KVService, implementation: kv(store) },
    { definition: CounterService, implementation: counter(store, context.broker) },
    testService(context),
  ]
}

/** Hands over the descriptors of the services, each generated alone: their messages share names. */
export async function exampleDescriptors(): Promise<Uint8Array> {
  const sets = await Promise.all([
    import('../gen/kv/descriptors.ts'),
    import('../gen/counter/descriptors.ts'),
    import('../gen/grpctest/descriptors.ts'),
  ])
  return Buffer.concat(sets.map(({ descriptorSet }) => descriptorSet()))
}

interface Store {
  get(key: string): Buffer | undefined
  set(key: string, value: Uint8Array): void
}

/** In memory, or in a folder when the host starts a new plugin for every question, as go-plugin's examples do. */
function newStore(): Store {
  const folder = process.env['CONFORMANCE_STORE']
  const memory = new Map<string, Buffer>()
  return {
    get(key) {
      if (folder === undefined) return memory.get(key)
      try {
        return readFileSync(join(folder, key))
      } catch {
        return undefined
      }
    },
    set(key, value) {
      if (folder === undefined) memory.set(key, Buffer.from(value))
      else writeFileSync(join(folder, key), value)
    },
  }
}

function kv(store: Store): KVServer {
  return {
    get(call, callback) {
      const value = store.get(call.request.key)
      if (value === undefined) callback({ code: status.NOT_FOUND, details: `no such key: ${call.request.key}` })
      else callback(null, { value })
    },
    put(call, callback) {
      store.set(call.request.key, call.request.value)
      callback(null, {})
    },
  }
}

function counter(store: Store, broker: Broker): CounterServer {
  const current = (key: string): bigint => BigInt(store.get(`counter-${key}`)?.toString() ?? '0')
  const add = async (key: string, value: bigint, addServer: number): Promise<void> => {
    // A host may announce its server long before it is used.
    if (key === 'late') await sleep(10_000)
    const { target, credentials, options } = await broker.dial(addServer)
    const helper = new AddHelperClient(target, credentials, options)
    const sum = await new Promise<bigint>((resolve, reject) => {
      helper.sum({ a: current(key), b: value }, (error, response) => {
        if (error === null) resolve(response.r)
        else reject(error)
      })
    })
    helper.close()
    store.set(`counter-${key}`, Buffer.from(String(sum)))
  }
  return {
    get: (call, callback) => callback(null, { value: current(call.request.key) }),
    put: serveUnary(async ({ key, value, addServer }: PutRequest) => {
      await add(key, value, addServer)
      return {}
    }, unavailable),
  }
}
