// The agent half as its own process, started as SPIRE starts it, for tests that only see what SPIRE sees.
import type { status } from '@grpc/grpc-js'
import {
  type ChallengeResponse,
  encodeChallenge,
  parseChallengeResponse,
} from '../../plugins/keylime/evidence/messages.ts'
import { newNonce } from '../../plugins/keylime/evidence/nonce.ts'
import {
  aidAttestation,
  HOST_SERVICES,
  type HostLogEntry,
  type PluginProcess,
} from '../../plugins/spire-sdk/testing/index.ts'
import { HalfProcess, launchHalf, outcomeOf } from './half-process.ts'

/** What SPIRE gets from one aided attestation: payload and answer, or a status with its message. */
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

/** A running agent half. */
export class AgentPlugin extends HalfProcess {
  private constructor(process: PluginProcess) {
    super(process)
  }

  /**
   * Starts it.
   *
   * @param hcl Configures it at once, if given.
   * @param before Words before the command, such as those that change the user.
   */
  static async start(hcl?: string, before: readonly string[] = []): Promise<AgentPlugin> {
    const launched = await launchHalf('agent', { announced: HOST_SERVICES.agent, before })
    return new AgentPlugin(launched).configuredWith(hcl)
  }

  async aid(behaviour: ServerBehaviour = {}): Promise<AidOutcome> {
    const nonce = newNonce()
    const messages: Uint8Array[] = []
    const { challenge, beforeChallenge, signal } = behaviour
    const aided = aidAttestation(this.process, {
      next: async (message, index) => {
        messages.push(message)
        if (index > 0) return undefined
        await beforeChallenge?.()
        return challenge ?? encodeChallenge({ nonce })
      },
      ...(signal !== undefined && { signal }),
    })
    // What it gave is in `messages`.
    const ended = await outcomeOf(aided.then(() => undefined))
    if (ended.status !== 'OK') return { ...ended, messages, nonce }
    return { ...ended, messages, nonce, response: parseChallengeResponse(messages[1] ?? Buffer.alloc(0)) }
  }

  /** Log lines, as the host would show them: `level message {fields}`. */
  logs(level?: HostLogEntry['level']): readonly string[] {
    return this.process.logs
      .filter((line) => level === undefined || line.level === level)
      .map((line) => `${line.level} ${line.message} ${JSON.stringify(line.fields)}`)
  }
}
