/**
 * The bans and evictions at every SPIRE server, verified afterwards and tried again until they are done.
 *
 * An attestation that was in flight can undo a ban: the server reads "banned?" before it signs and writes the new serial
 * number after. So each agent is looked at again, and banned again.
 *
 * @see spiffe/spire ef8527ec9, pkg/server/api/agent/v1/service.go, `AttestAgent`
 * @module
 */
import { banAgent, evictAgent, getAgent, type SpireConnection } from '@tower-of-omens/spire-api'
import type { SpireView } from './decide.ts'

/** One thing to do. */
export interface CutOff {
  readonly spiffeId: string
  readonly action: 'ban' | 'evict'
  /** By what is known: false when the cause has gone, so nothing is to be tried again. */
  readonly isStillMeant: () => boolean
  /** By what Keylime says when it is asked anew; undefined: it could not be asked. */
  readonly askAgain: () => Promise<boolean | undefined>
}

/** Told of what happens. */
export interface ActEars {
  /** An attempt ended: what the server has now, or why it failed. */
  readonly tried: (cutOff: CutOff, server: string, view: SpireView, failure?: string) => void
  /** A later look found the agent banned or gone. */
  readonly confirmed: (cutOff: CutOff, server: string) => void
  /** A banned agent was found attested again. */
  readonly returned: (cutOff: CutOff, server: string) => void
}

/** Times of the looks after a ban, counted from it. */
const VERIFY_AFTER_MS = [500, 2_000, 10_000]
/** Pause before a failed call is tried again. */
const RETRY_MS = 1_000

/** The one who carries out what was decided. */
export class Actor {
  readonly #servers: readonly SpireConnection[]
  readonly #ears: ActEars
  readonly #sleep: (ms: number) => Promise<boolean>
  /** Cut-offs that a server has not done yet, by agent and server. */
  readonly #pending = new Set<string>()

  /**
   * @param servers Every SPIRE server.
   * @param ears Told of what happens.
   * @param sleep Sleeps; false: the daemon ends.
   */
  constructor(servers: readonly SpireConnection[], ears: ActEars, sleep: (ms: number) => Promise<boolean>) {
    this.#servers = servers
    this.#ears = ears
    this.#sleep = sleep
  }

  /** How many cut-offs wait for a server. */
  get pending(): number {
    return this.#pending.size
  }

  /**
   * Cuts an agent off at every server.
   *
   * @param cutOff What to do.
   * @returns When every server has answered once, with success or not; what failed goes on being tried.
   */
  async cut(cutOff: CutOff): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#cutAt(server, cutOff)))
  }

  async #cutAt(server: SpireConnection, cutOff: CutOff): Promise<void> {
    const key = `${cutOff.spiffeId} ${server.name}`
    // Somebody tries already.
    if (this.#pending.has(key)) return
    this.#pending.add(key)
    const isDone = await this.#try(server, cutOff)
    if (isDone) {
      this.#pending.delete(key)
      if (cutOff.action === 'ban') void this.#verify(server, cutOff)
    } else void this.#retry(server, cutOff, key)
  }

  async #retry(server: SpireConnection, cutOff: CutOff, key: string): Promise<void> {
    while (await this.#sleep(RETRY_MS)) {
      if (!cutOff.isStillMeant()) break
      if (await this.#try(server, cutOff)) {
        if (cutOff.action === 'ban') void this.#verify(server, cutOff)
        break
      }
    }
    this.#pending.delete(key)
  }

  async #try(server: SpireConnection, { spiffeId, action, ...cutOff }: CutOff): Promise<boolean> {
    const whole = { spiffeId, action, ...cutOff }
    try {
      const wasKnown = await (action === 'ban' ? banAgent : evictAgent)(server, spiffeId)
      this.#ears.tried(whole, server.name, wasKnown && action === 'ban' ? 'banned' : 'absent')
      return true
    } catch (error) {
      this.#ears.tried(whole, server.name, 'unknown', error instanceof Error ? error.message : String(error))
      return false
    }
  }

  async #verify(server: SpireConnection, cutOff: CutOff): Promise<void> {
    let waited = 0
    for (const after of VERIFY_AFTER_MS) {
      if (!(await this.#sleep(after - waited)) || !cutOff.isStillMeant()) return
      waited = after
      const agent = await getAgent(server, cutOff.spiffeId).catch(() => undefined)
      if (agent === undefined || agent.banned) {
        if (after === VERIFY_AFTER_MS[0]) this.#ears.confirmed(cutOff, server.name)
        continue
      }
      // A person who lifted the ban has a healthy host to show for it; an attestation in flight has not, and is written
      // within moments, so a later return counts only when Keylime itself still refuses the host.
      const isMeant = await cutOff.askAgain()
      if (!(isMeant ?? after === VERIFY_AFTER_MS[0])) return
      this.#ears.returned(cutOff, server.name)
      await this.#cutAt(server, cutOff)
      return
    }
  }
}
