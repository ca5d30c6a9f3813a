/** What the trial plugin does when asked. @module */
/* oxlint-disable no-console -- printing is what is tried here */
import { spawn } from 'node:child_process'
import type { Metadata } from '@grpc/grpc-js'
import { serveBidi, type WireStatus } from '../../../plugins/go-plugin/grpc/bidi.ts'
import { statusOf } from '../../../plugins/go-plugin/grpc/guarded-service.ts'
import { serveUnary } from '../../../plugins/go-plugin/grpc/unary.ts'
import type { GoPluginContext, GoPluginService } from '../../../plugins/go-plugin/serve/server.ts'
import { unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { TRIAL, TrialClient, type TrialRequest, type TrialResponse, type TrialServer } from './trial-service.ts'

type Action = (request: TrialRequest, context: GoPluginContext) => TrialResponse | Promise<TrialResponse>

const ACTIONS: Readonly<Record<string, Action>> = {
  echo: (request) => ({ text: request.text ?? '' }),
  repeat: (request) => ({ text: (request.text ?? 'x').repeat(request.count ?? 1) }),
  version: (_request, { protocolVersion }) => ({ text: String(protocolVersion) }),
  print: (request) => {
    for (let i = 0; i < (request.count ?? 1); i++) console.log(request.text)
    return { text: 'printed' }
  },
  printError: (request) => {
    console.error(request.text)
    process.stdout.write('out\n')
    return { text: 'printed' }
  },
  throw: () => {
    throw new TypeError('secret detail')
  },
  status: () => {
    // A status object is all that grpc-js needs; it need not be an Error.
    // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error
    throw { code: 7, details: 'not you' }
  },
  stray: (request) => {
    if (request.text === 'rejection') void Promise.reject(new Error('stray rejection'))
    else
      setTimeout(() => {
        throw new Error('stray exception')
      }, 0)
    return { text: 'thrown' }
  },
  log: (request, { log }) => {
    const odd = { '@level': 7, '@timestamp': {}, nested: { a: [1, { b: 'ü' }] }, big: 10n, error: new Error('cause') }
    for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) {
      const trial = log.named('trial').with({ fixed: true })
      trial[level](request.text ?? '', odd)
    }
    return { text: 'logged' }
  },
  logOdd: (_request, { log }) => {
    // As code without types may call it.
    const untyped = log as { info(message: unknown): void }
    untyped.info({ a: 1 })
    untyped.info(42)
    return { text: 'logged' }
  },
  warn: (request) => {
    process.emitWarning(request.text ?? '')
    return { text: 'warned' }
  },
  dial: async (request, { broker }) => {
    const { target, credentials, options } = await broker.dial(request.id ?? 1)
    const client = new TrialClient(target, credentials, options)
    const echoed = await unary<TrialResponse>((done) => client.run({ action: 'echo', text: request.text ?? '' }, done))
    client.close()
    return { text: `plugin(${echoed.text})` }
  },
  accept: async (request, context) => {
    await context.broker.accept(request.id ?? 1, trialServices(context))
    return { text: 'accepted' }
  },
  nextId: (_request, { broker }) => ({ text: String(broker.nextId()) }),
  memory: () => ({ text: String(process.memoryUsage().rss) }),
  child: () => {
    // The worst kind: it has inherited the pipes the host waits on.
    const child = spawn('sleep', ['600'], { stdio: 'inherit' })
    return child.pid === undefined ? { text: 'none' } : { text: 'started', pid: child.pid }
  },
  never: () => new Promise<TrialResponse>(() => undefined),
}

/** Makes the trial service. */
export function trialServices(
  context: GoPluginContext,
  mark = (text: string): string => text,
): readonly GoPluginService[] {
  const toStatus = (error: unknown): WireStatus => statusOf(error, context.log, 'trial')
  const implementation: TrialServer = {
    run: serveUnary<TrialRequest, TrialResponse>(async (request) => {
      const response = await answer(request, context)
      return { ...response, text: mark(response.text) }
    }, toStatus),
    chat: serveBidi<TrialRequest, TrialResponse>((stream) => chat(stream, context), toStatus),
  }
  return [{ definition: TRIAL, implementation }]
}

async function answer(request: TrialRequest, context: GoPluginContext): Promise<TrialResponse> {
  const action = ACTIONS[request.action]
  if (action === undefined) return { text: `no action ${request.action}` }
  return await action(request, context)
}

interface ChatStream {
  readonly signal: AbortSignal
  readonly metadata: Metadata
  receive(): Promise<TrialRequest | undefined>
  send(response: TrialResponse): Promise<void>
}

async function chat(stream: ChatStream, context: GoPluginContext): Promise<void> {
  for (;;) {
    const request = await stream.receive()
    if (request === undefined || request.action === 'end') return
    if (request.action === 'hold') {
      await new Promise((resolve) => stream.signal.addEventListener('abort', resolve, { once: true }))
      context.log.info('Chat was given up')
      await stream.send({ text: 'too late' })
    }
    await stream.send(await answer(request, context))
  }
}
