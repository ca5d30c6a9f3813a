/** The server half in the test's own process: real HTTPS to fake Keylime services, a scripted stream, a recorded log. */
import { type HclogFields, type HclogLogger, newHclogLogger } from '../../../plugins/go-plugin/log/hclog.ts'
import type { HostServices } from '../../../plugins/spire-sdk/host-services/host-services.ts'
import type { AgentAttributes, AttestStream } from '../../../plugins/spire-sdk/plugin-types/server-node-attestor.ts'
import { RpcError } from '../../../plugins/spire-sdk/wire/rpc-error.ts'
import type { AttestContext } from '../../../server-attestor/context.ts'
import { attestReported } from '../../../server-attestor/handler.ts'
import { serverPlugin } from '../../../server-attestor/plugin.ts'
import type { FakeNode } from '../../fakes/fake-node.ts'
import type { QuoteKnobs } from '../../fakes/software-tpm.ts'

/** One log line. */
export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: HclogFields
}

/** The outcome of one attestation. */
export interface InProcessOutcome {
  readonly status: string
  readonly message: string
  readonly attributes?: AgentAttributes
}

/** Says how one attestation goes; what is absent is right. */
export interface Scene {
  readonly payload?: Uint8Array
  readonly answer?: (challenge: Uint8Array) => Uint8Array | Promise<Uint8Array>
  readonly knobs?: QuoteKnobs
  readonly signal?: AbortSignal
  readonly callerIp?: string
}

/** A configured server half. */
export interface InProcess extends AsyncDisposable {
  readonly lines: LogLine[]
  readonly warnings: readonly string[]
  attest(node: FakeNode, scene?: Scene): Promise<InProcessOutcome>
  /** Swaps the configuration, as Configure does; what the process remembers stays. */
  configure(hcl: string): Promise<void>
  /** Changes parts of what attestations run with. */
  change(parts: Partial<AttestContext>): void
  logged(message: string): readonly LogLine[]
}

/** Makes a log that keeps its lines. */
export function recordedLog(lines: LogLine[]): HclogLogger {
  return newHclogLogger((line) => {
    const { '@level': level, '@message': message, ...fields } = JSON.parse(line) as Record<string, unknown>
    lines.push({ level: String(level), message: String(message), fields })
  })
}

/** Makes host services that refuse everything; changes replace single ones. */
export function noHosts(changes: Partial<HostServices> = {}): HostServices {
  return { names: [], metrics: refuse, agentStore: refuse, identityProvider: refuse, call: refuse, ...changes }
}

/**
 * Configures a server half.
 * @param hcl Its `plugin_data`.
 */
export async function startInProcess(hcl: string, hosts: HostServices = noHosts()): Promise<InProcess> {
  const lines: LogLine[] = []
  const log = recordedLog(lines)
  const { config } = serverPlugin()
  if (config === undefined) throw new Error('the plugin has no configuration')
  const build = async (text: string): Promise<{ attestor: AttestContext; warnings: readonly string[] }> => {
    const outcome = await config.build({ trustDomain: 'example.org', hcl: text }, { mode: 'configure', log, hosts })
    if (outcome.config === undefined) throw new Error(outcome.problems.join('; '))
    return { attestor: outcome.config, warnings: outcome.warnings ?? [] }
  }
  let { attestor, warnings } = await build(hcl)
  return {
    lines,
    get warnings() {
      return warnings
    },
    attest: (node, scene = {}) => outcomeOf(attestReported(scripted(node, scene, log, hosts), attestor)),
    configure: async (text) => {
      const old = attestor
      ;({ attestor, warnings } = await build(text))
      await config.dispose?.(old)
    },
    change: (parts) => {
      attestor = { ...attestor, ...parts }
    },
    logged: (message) => lines.filter((line) => line.message === message),
    [Symbol.asyncDispose]: async () => config.dispose?.(attestor),
  }
}

function scripted(node: FakeNode, scene: Scene, log: HclogLogger, hosts: HostServices): AttestStream {
  const { payload = node.payload(), answer = (bytes) => node.respond(bytes, scene.knobs) } = scene
  const headers: Readonly<Record<string, string | undefined>> = { 'x-forwarded-client-ip': scene.callerIp }
  return {
    signal: scene.signal ?? new AbortController().signal,
    log,
    hosts,
    metadata: { get: (name) => headers[name] },
    receivePayload: () => Promise.resolve(payload),
    challenge: async (bytes) => answer(bytes),
  }
}

async function outcomeOf(call: Promise<AgentAttributes>): Promise<InProcessOutcome> {
  try {
    return { status: 'OK', message: '', attributes: await call }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return { status: error.status, message: error.message }
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new RpcError('FAILED_PRECONDITION', 'not offered'))
}
