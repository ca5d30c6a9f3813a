/**
 * The services that every go-plugin host expects: broker, stdio, controller and health.
 *
 * @module
 */
import { status } from '@grpc/grpc-js'
import type { AttachableLink } from '../broker/broker-link.ts'
import { type ConnInfo, type GRPCBrokerServer, GRPCBrokerService } from '../gen/goplugin/broker.ts'
import { type GRPCControllerServer, GRPCControllerService } from '../gen/goplugin/controller.ts'
import { type GRPCStdioServer, GRPCStdioService } from '../gen/goplugin/stdio.ts'
import { type HealthServer, HealthService } from '../gen/grpc/health/v1/health.ts'
import type { GoPluginService } from '../grpc/guarded-service.ts'
import type { OutputCapture, OutputChunk } from './output-capture.ts'

const SERVING = 1
const SERVICE_UNKNOWN = 3

/** Services whose health is asked: go-plugin pings `plugin`, the empty name means the whole server. */
const HEALTHY = ['', 'plugin']

/**
 * Makes the broker service: its stream is the link, and stays open until the host ends it.
 *
 * @param link Link of the broker.
 * @returns Service `plugin.GRPCBroker`.
 */
export function brokerService(link: AttachableLink): GoPluginService {
  const implementation: GRPCBrokerServer = {
    startStream: (call) => {
      const detach = link.attach(call)
      call.on('data', (info: ConnInfo) => link.received(info))
      call.on('end', () => {
        detach()
        call.end()
      })
      call.on('cancelled', detach)
    },
  }
  return { definition: GRPCBrokerService, implementation }
}

/**
 * Makes the stdio service: whoever reads gets what was printed, each byte once, as fast as it reads.
 *
 * @param capture Source of the bytes.
 * @returns Service `plugin.GRPCStdio`.
 */
export function stdioService(capture: OutputCapture): GoPluginService {
  const implementation: GRPCStdioServer = {
    streamStdio: (call) => {
      const cancel = new AbortController()
      call.on('cancelled', () => cancel.abort())
      void pump(capture, call, cancel.signal)
    },
  }
  return { definition: GRPCStdioService, implementation }
}

interface ChunkSink {
  write(chunk: OutputChunk): boolean
  once(event: 'drain', listener: () => void): unknown
  off(event: 'drain', listener: () => void): unknown
}

async function pump(capture: OutputCapture, call: ChunkSink, signal: AbortSignal): Promise<void> {
  for (;;) {
    const chunk = await capture.next(signal)
    if (chunk === undefined) return
    if (!call.write(chunk)) await drained(call, signal)
  }
}

function drained(call: ChunkSink, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    call.once('drain', done)
    signal.addEventListener('abort', done)
  })
}

/**
 * Makes the controller service, through which the host asks the plugin to end.
 *
 * @param shutdown Starts the shutdown; called after the answer is on its way.
 * @returns Service `plugin.GRPCController`.
 */
export function controllerService(shutdown: () => void): GoPluginService {
  const implementation: GRPCControllerServer = {
    shutdown: (_call, callback) => {
      callback(null, {})
      setImmediate(shutdown)
    },
  }
  return { definition: GRPCControllerService, implementation }
}

/**
 * Makes the health service: the plugin is healthy as long as it answers.
 *
 * @returns Service `grpc.health.v1.Health`.
 */
export function healthService(): GoPluginService {
  const implementation: HealthServer = {
    check: (call, callback) => {
      if (HEALTHY.includes(call.request.service)) callback(null, { status: SERVING })
      else callback({ code: status.NOT_FOUND, details: 'unknown service' })
    },
    list: (_call, callback) => {
      callback(null, { statuses: Object.fromEntries(HEALTHY.map((name) => [name, { status: SERVING }])) })
    },
    // The answer cannot change while the process lives; the stream stays open, as watchers expect.
    watch: (call) => {
      call.write({ status: HEALTHY.includes(call.request.service) ? SERVING : SERVICE_UNKNOWN })
    },
  }
  return { definition: HealthService, implementation }
}
