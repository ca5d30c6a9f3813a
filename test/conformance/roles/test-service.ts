/**
 * The service of go-plugin's own tests.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { type ServerUnaryCall, status } from '@grpc/grpc-js'
import type { Broker } from '../../../plugins/go-plugin/broker/broker.ts'
import { serveBidi } from '../../../plugins/go-plugin/grpc/bidi.ts'
import { serveUnary } from '../../../plugins/go-plugin/grpc/unary.ts'
import type { HclogLogger } from '../../../plugins/go-plugin/log/hclog.ts'
import type { GoPluginContext, GoPluginService } from '../../../plugins/go-plugin/serve/server.ts'
import type { WireStatus } from '../../../plugins/spire-sdk/wire/wire-status.ts'
import {
  type BidirectionalRequest,
  type BidirectionalResponse,
  PingPongClient,
  type PingPongServer,
  PingPongService,
  type TestRequest,
  type TestResponse,
  type TestServer,
  TestService,
} from '../gen/grpctest/test.ts'

/** Makes the service. */
export function testService({ broker, log }: GoPluginContext): GoPluginService {
  const implementation: TestServer = {
    double(call, callback) {
      if (call.request.Input < 0) waitForCancel(call, log)
      else callback(null, { Output: 2 * call.request.Input })
    },
    printKv(call, callback) {
      const { Key, Value } = call.request
      act(log, Key, String(Value?.value ?? ''))
      callback(null, {})
    },
    bidirectional: serveUnary((request: BidirectionalRequest) => pingPong(broker, request.id), unavailable),
    stream: serveBidi<TestRequest, TestResponse>(
      async (stream) => {
        for (;;) {
          const request = await stream.receive()
          if (request === undefined) return
          await stream.send({ Output: 2 * request.Input })
        }
      },
      () => ({ code: 13, details: 'stream failed' }),
    ),
    printStdio(call, callback) {
      process.stdout.write(call.request.stdout)
      process.stderr.write(call.request.stderr)
      callback(null, {})
    },
    panic(call, callback) {
      const { message } = call.request
      if (message === 'throw') throw new Error('thrown in a handler')
      if (message === 'uncaught') setTimeout(() => fail('thrown by a timer'), 1)
      if (message === 'unhandled') void Promise.reject(new Error('rejected and forgotten'))
      callback(null, {})
    },
  }
  return { definition: TestService, implementation }
}

function waitForCancel(call: ServerUnaryCall<TestRequest, TestResponse>, log: HclogLogger): void {
  call.on('cancelled', () => log.info('Handler stopped', { input: call.request.Input }))
}

/** What the host makes the plugin do: log at a level, log nonsense, write raw lines, start a child process. */
function act(log: HclogLogger, what: string, text: string): void {
  switch (what) {
    case 'trace':
    case 'debug':
    case 'info':
    case 'warn':
    case 'error':
      log[what](text, { nested: { list: [1, 'two'], yes: true }, 'snow man': '☃', absent: undefined })
      break
    case 'long':
      log.warn('x'.repeat(200 * 1024), { long: 'y'.repeat(100 * 1024) })
      break
    case 'nonsense':
      // What code without types may do.
      for (const message of [5, { a: 1 }, undefined, null]) {
        const untyped: unknown = Reflect.get(log, 'info')
        if (typeof untyped === 'function') Reflect.apply(untyped, log, [message, { '@level': 7 }])
      }
      break
    case 'raw':
      process.stderr.write(`${text}\n`)
      break
    case 'child':
      spawn('sleep', [text], { stdio: 'inherit' })
      break
    default:
      log.error('Unknown request', { what })
  }
}

async function pingPong(broker: Broker, hostsId: number): Promise<BidirectionalResponse> {
  const { target, credentials, options } = await broker.dial(hostsId)
  const client = new PingPongClient(target, credentials, options)
  await new Promise<void>((resolve, reject) => {
    client.ping({}, (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  client.close()
  const id = broker.nextId()
  const implementation: PingPongServer = { ping: (_call, callback) => callback(null, { msg: 'pong' }) }
  await broker.accept(id, [{ definition: PingPongService, implementation }])
  return { id }
}

/** Tells the host what went wrong; these tests have nothing to hide. */
export function unavailable(error: unknown): WireStatus {
  return { code: status.UNAVAILABLE, details: error instanceof Error ? error.message : 'failed' }
}

function fail(message: string): never {
  throw new Error(message)
}
