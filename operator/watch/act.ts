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
import { settled } from '../sources/state.ts'
import type { SpireView } from './decide.ts'

/** One thing to do. */
export interface CutOff {
  readonly spiffeId: string
  readonly action: 'ban' | 'evict'
  /** A person's word, which no decision of ours takes the place of. */
  readonly isOrdered?: boolean
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
  /** Cut-offs that a server has not done yet, by server and agent. */
  readonly #pending = new Map<string, Map<string, CutOff>>()

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
    return [...this.#pending.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /**
   * Tells whether a server has cut-offs to do.
   *
   * @param server Its name.
   * @returns True while one waits for it.
   */
  isPendingAt(server: string): boolean {
    return this.#pendingAt(server).size > 0
  }

  /**
   * Tells whether an agent is still to be cut off.
   *
   * @param spiffeId The agent.
   * @returns True while a server has not done it.
   */
  isPending(spiffeId: string): boolean {
    return [...this.#pending.values()].some((waiting) => waiting.has(spiffeId))
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
    const waiting = this.#pendingAt(server.name)
    const under = waiting.get(cutOff.spiffeId)
    if (under !== undefined) {
      // Somebody tries already, and takes what stands here then.
      if (weightOf(cutOff) > weightOf(under)) waiting.set(cutOff.spiffeId, cutOff)
      return
    }
    waiting.set(cutOff.spiffeId, cutOff)
    if (!(await this.#tryPending(server, cutOff.spiffeId))) void this.#retry(server, cutOff.spiffeId)
  }

  async #retry(server: SpireConnection, spiffeId: string): Promise<void> {
    const waiting = this.#pendingAt(server.name)
    while (await this.#sleep(RETRY_MS)) {
      if (waiting.get(spiffeId)?.isStillMeant() !== true) break
      if (await this.#tryPending(server, spiffeId)) return
    }
    waiting.delete(spiffeId)
  }

  /** Returns true when nothing is pending any more. */
  async #tryPending(server: SpireConnection, spiffeId: string): Promise<boolean> {
    const waiting = this.#pendingAt(server.name)
    for (let cutOff = waiting.get(spiffeId); cutOff !== undefined; cutOff = waiting.get(spiffeId)) {
      const isDone = await this.#try(server, cutOff)
      // Something weightier has come meanwhile.
      if (waiting.get(spiffeId) !== cutOff) continue
      if (!isDone) return false
      waiting.delete(spiffeId)
      if (cutOff.action === 'ban') void this.#verify(server, cutOff)
    }
    return true
  }

  async #try(server: SpireConnection, cutOff: CutOff): Promise<boolean> {
    try {
      this.#ears.tried(cutOff, server.name, await carriedOut(server, cutOff))
      return true
    } catch (error) {
      this.#ears.tried(cutOff, server.name, 'unknown', error instanceof Error ? error.message : String(error))
      return false
    }
  }

  async #verify(server: SpireConnection, cutOff: CutOff): Promise<void> {
    let waited = 0
    let isConfirmed = false
    for (const after of VERIFY_AFTER_MS) {
      if (!(await this.#sleep(after - waited)) || !cutOff.isStillMeant()) return
      waited = after
      const answer = await settled(getAgent(server, cutOff.spiffeId))
      // A look that failed has seen nothing.
      if ('failed' in answer) continue
      const agent = answer.value
      if (agent === undefined || agent.banned) {
        if (!isConfirmed) this.#ears.confirmed(cutOff, server.name)
        isConfirmed = true
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

  #pendingAt(server: string): Map<string, CutOff> {
    const known = this.#pending.get(server) ?? new Map<string, CutOff>()
    this.#pending.set(server, known)
    return known
  }
}

function weightOf({ action, isOrdered = false }: CutOff): number {
  return Number(action === 'ban') + Number(isOrdered)
}

// Deleting a banned agent would lift a ban that somebody made since it was listed.
async function carriedOut(server: SpireConnection, { action, spiffeId }: CutOff): Promise<SpireView> {
  if (action === 'ban') return (await banAgent(server, spiffeId)) ? 'banned' : 'absent'
  if ((await getAgent(server, spiffeId))?.banned === true) return 'banned'
  await evictAgent(server, spiffeId)
  return 'absent'
}
