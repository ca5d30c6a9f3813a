// The agent half as its own process, started as SPIRE starts it, for tests that only see what SPIRE sees.
import { type ServiceError, status } from '@grpc/grpc-js'
import {
  type ChallengeResponse,
  encodeChallenge,
  parseChallengeResponse,
} from '../../plugins/keylime/evidence/messages.ts'
import { newNonce } from '../../plugins/keylime/evidence/nonce.ts'
import {
  aidAttestation,
  configure,
  HOST_SERVICES,
  type HostLogEntry,
  initPlugin,
  launchPlugin,
  type PluginProcess,
  type Validation,
  validate,
} from '../../plugins/spire-sdk/testing/index.ts'
import { executable, TRUST_DOMAIN } from './server-plugin.ts'

/** Is what SPIRE gets from one aided attestation: payload and answer, or a status with its message. */
export interface AidOutcome {
  readonly status: keyof typeof status
  readonly message: string
  /** Messages of the plugin, in order: the payload, then the challenge responses. */
  readonly messages: readonly Uint8Array[]
  readonly nonce: string
  readonly response?: ChallengeResponse
}

/** Says how the server behaves in one attestation; what is absent is right. */
export interface ServerBehaviour {
  /** Sent instead of a challenge with a new nonce. */
  readonly challenge?: Uint8Array
  /** Runs between payload and challenge. */
  readonly beforeChallenge?: () => void | Promise<void>
  readonly signal?: AbortSignal
}

/** Is a running agent half. */
export interface AgentPlugin extends AsyncDisposable {
  readonly process: PluginProcess
  configure(hcl: string): Promise<{ readonly status: keyof typeof status; readonly message: string }>
  validate(hcl: string): Promise<Validation>
  aid(behaviour?: ServerBehaviour): Promise<AidOutcome>
  /** Log lines, as the host would show them: `level message {fields}`. */
  logs(level?: HostLogEntry['level']): readonly string[]
  stop(): Promise<void>
}

/**
 * Starts the agent half: `$TOWER_DIST/keylime-attestor-agent` if that is set, else from its sources.
 * @param hcl Configures it at once, if given.
 * @param before Words before the command, such as those that change the user.
 */
export async function startAgentPlugin(hcl?: string, before: readonly string[] = []): Promise<AgentPlugin> {
  const { command, args } = executable('keylime-attestor-agent', 'agent-attestor/main.ts')
  const [program = command, ...rest] = [...before, command, ...args]
  const launched = await launchPlugin({
    command: program,
    args: rest,
    cookie: { key: 'NodeAttestor', value: 'NodeAttestor' },
  })
  await launched.serveHostServices(1, [])
  await initPlugin(launched, HOST_SERVICES.agent)
  const stop = async (): Promise<void> => {
    await launched.shutdown()
  }
  const plugin: AgentPlugin = {
    process: launched,
    configure: async (text) => {
      const failure = await failureOf(() => configure(launched, { trustDomain: TRUST_DOMAIN, hcl: text }))
      return failure ?? { status: 'OK', message: '' }
    },
    validate: (text) => validate(launched, { trustDomain: TRUST_DOMAIN, hcl: text }),
    aid: (behaviour = {}) => aidOnce(launched, behaviour),
    logs: (level) =>
      launched.logs
        .filter((line) => level === undefined || line.level === level)
        .map((line) => `${line.level} ${line.message} ${JSON.stringify(line.fields)}`),
    stop,
    [Symbol.asyncDispose]: stop,
  }
  if (hcl === undefined) return plugin
  const configured = await plugin.configure(hcl)
  if (configured.status === 'OK') return plugin
  await stop()
  throw new Error(`not configured: ${configured.status} ${configured.message}`)
}

async function aidOnce(launched: PluginProcess, behaviour: ServerBehaviour): Promise<AidOutcome> {
  const nonce = newNonce()
  const messages: Uint8Array[] = []
  const failure = await failureOf(() =>
    aidAttestation(launched, {
      next: async (message, index) => {
        messages.push(message)
        if (index > 0) return undefined
        await behaviour.beforeChallenge?.()
        return behaviour.challenge ?? encodeChallenge({ nonce })
      },
      ...(behaviour.signal !== undefined && { signal: behaviour.signal }),
    }),
  )
  if (failure !== undefined) return { ...failure, messages, nonce }
  return {
    status: 'OK',
    message: '',
    messages,
    nonce,
    response: parseChallengeResponse(messages[1] ?? Buffer.alloc(0)),
  }
}

async function failureOf(
  run: () => Promise<unknown>,
): Promise<{ readonly status: keyof typeof status; readonly message: string } | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    const { code, details } = error as ServiceError
    if (typeof code !== 'number') throw error
    return { status: status[code] as keyof typeof status, message: details }
  }
}
