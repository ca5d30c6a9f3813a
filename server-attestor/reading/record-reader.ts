/**
 * The reader of one verifier's agent records: one by one when few are asked for, all at once in a storm.
 *
 * A verifier answers one request at a time: 2.6 ms for one record, 0.4 ms per enrolled agent for all of them.
 *
 * @module
 */

import type { AgentId } from '@tower-of-omens/keylime'
import { abortReason, DEFAULT_MAX_WAITING, KeylimeError, Limiter, queueFull } from '@tower-of-omens/keylime'
import type { AgentRecord, AgentRecords } from '@tower-of-omens/keylime/api'
import { StormWatch } from './storm-watch.ts'

/** The part of a verifier's client that is used here. */
export interface RecordSource {
  getAgent(agentId: AgentId, options: { readonly signal: AbortSignal }): Promise<AgentRecord>
  getAgents(options: { readonly expectedAgents: number }): Promise<AgentRecords>
  /** Who is enrolled: a cheap read. */
  getAgentIds(): Promise<readonly AgentId[]>
}

/** Single reads under way at a time; the verifier takes one after the other anyway. */
const SINGLE_READS = 8
/** Time between two looks at a storm that gathers. */
const GATHERING_STEP_MS = 25
/** Time for which a count of the enrolled agents is believed. */
const COUNT_TTL_MS = 60_000

/** A record, and when the read began that gave it. */
export interface VerifierRead {
  readonly record: AgentRecord
  /** Milliseconds of the reader's clock. */
  readonly readAt: number
}

interface Waiter {
  readonly signal: AbortSignal
  readonly resolve: (read: VerifierRead) => void
  readonly reject: (error: unknown) => void
}

/** Options of a reader; absent ones have their defaults. */
export interface RecordReaderOptions {
  /** Milliseconds, never going back; default `performance.now`. */
  readonly clock?: () => number
  /** Waits that many milliseconds; default a timer. */
  readonly pause?: (ms: number) => Promise<void>
  /** Counts the nodes about whom this verifier has not been asked yet for its opinion; default none. */
  readonly opinionsWaiting?: () => number
}

/** Reader of one verifier's records for many attestations. */
export class RecordReader {
  readonly #source: RecordSource
  readonly #clock: () => number
  readonly #pause: (ms: number) => Promise<void>
  readonly #opinionsWaiting: () => number
  /** In order of asking; the waiters of one agent share one read, so that no node can crowd out the others. */
  #queue = new Map<AgentId, Set<Waiter>>()
  #waiting = 0
  readonly #singles = new Limiter(SINGLE_READS, 0)
  /** Whether a count or a shared read is under way; single reads wait for its end, since the verifier would too. */
  #sharing = false
  #enrolled: { readonly count: number; readonly at: number } | undefined
  /** After a shared read failed: no other until then. */
  #noSharingUntil = 0
  readonly #storm = new StormWatch()

  /**
   * @param source The verifier.
   * @param options Clock, timer, and what else the verifier has to do.
   */
  constructor(source: RecordSource, options: RecordReaderOptions = {}) {
    this.#source = source
    this.#clock = options.clock ?? (() => performance.now())
    this.#pause = options.pause ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)))
    this.#opinionsWaiting = options.opinionsWaiting ?? (() => 0)
  }

  /** Counts reads that have not begun. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Reads the record of one agent. The read begins after this call, never before: what it says is newer than any
   * proof made before the call.
   *
   * @param agentId Whose record.
   * @param options Signal that ends the wait.
   * @returns The record, and when it was asked for.
   * @throws {KeylimeError} As the verifier's client. `KEYLIME_AGENT_UNKNOWN`: not enrolled here. Of reason `queue-full`: too many reads wait.
   */
  read(agentId: AgentId, { signal }: { readonly signal: AbortSignal }): Promise<VerifierRead> {
    if (signal.aborted) return Promise.reject(abortReason(signal))
    if (this.#waiting >= DEFAULT_MAX_WAITING) return Promise.reject(queueFull(DEFAULT_MAX_WAITING))
    return new Promise((resolve, reject) => {
      const done = (): void => signal.removeEventListener('abort', abort)
      const waiter: Waiter = {
        signal,
        resolve: (read) => {
          done()
          resolve(read)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      const abort = (): void => {
        this.#forget(agentId, waiter)
        reject(abortReason(signal))
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#storm.asked(this.#clock())
      this.#add(agentId, waiter)
      this.#next()
    })
  }

  /**
   * Sends away every read that has not begun: the verifier has failed, and another one may answer.
   *
   * @param error What each of them fails with.
   */
  release(error: unknown): void {
    const queued = this.#queue
    this.#queue = new Map()
    this.#waiting = 0
    for (const waiters of queued.values()) for (const waiter of waiters) waiter.reject(error)
  }

  #add(agentId: AgentId, waiter: Waiter): void {
    const waiters = this.#queue.get(agentId)
    if (waiters === undefined) this.#queue.set(agentId, new Set([waiter]))
    else waiters.add(waiter)
    this.#waiting += 1
  }

  #forget(agentId: AgentId, waiter: Waiter): void {
    const waiters = this.#queue.get(agentId)
    if (waiters?.delete(waiter) !== true) return
    this.#waiting -= 1
    if (waiters.size === 0) this.#queue.delete(agentId)
  }

  #next(): void {
    if (this.#sharing) return
    if (this.#isStorm()) {
      this.#sharing = true
      void this.#share().finally(() => {
        this.#sharing = false
        this.#next()
      })
      return
    }
    for (const [agentId, waiters] of this.#queue) {
      if (!this.#singles.enter()) return
      this.#queue.delete(agentId)
      this.#waiting -= waiters.size
      void this.#readOne(agentId, waiters)
    }
  }

  #isStorm(): boolean {
    const now = this.#clock()
    return now >= this.#noSharingUntil && this.#storm.isWorthSharing(this.#queue.size, this.#knownCount(), now)
  }

  #knownCount(): number | undefined {
    const known = this.#enrolled
    return known !== undefined && this.#clock() - known.at < COUNT_TTL_MS ? known.count : undefined
  }

  async #share(): Promise<void> {
    try {
      const known = this.#knownCount()
      if (known === undefined) {
        const ids = await this.#source.getAgentIds()
        this.#enrolled = { count: ids.length, at: this.#clock() }
        return
      }
      await this.#gather(known)
      // From here on: who asks later waits for the next read, since this one may be older than his proof.
      const served = this.#queue
      this.#queue = new Map()
      const began = this.#clock()
      const count = [...served.values()].reduce((sum, waiters) => sum + waiters.size, 0)
      this.#waiting -= count
      if (count > 0) await this.#readAll(served, known, began)
    } catch {
      // The single reads that follow say what is wrong.
      this.#noSharingUntil = this.#clock() + COUNT_TTL_MS
    }
  }

  // While more come than single reads could serve, a short wait now saves a whole shared read later; and who waits for an
  // opinion does not miss the record before.
  async #gather(enrolled: number): Promise<void> {
    const pauses = this.#storm.longestGatheringMs(enrolled) / GATHERING_STEP_MS
    const goesOn = (): boolean =>
      this.#storm.isGrowing(this.#clock()) || this.#storm.isOutlastedBy(this.#opinionsWaiting(), enrolled)
    for (let done = 0; done < pauses && goesOn(); done += 1) await this.#pause(GATHERING_STEP_MS)
  }

  async #readAll(served: Map<AgentId, Set<Waiter>>, expectedAgents: number, began: number): Promise<void> {
    let records: AgentRecords
    try {
      records = await this.#source.getAgents({ expectedAgents })
    } catch (error) {
      this.#requeue(served)
      throw error
    }
    this.#enrolled = { count: records.size, at: began }
    for (const [agentId, waiters] of served) answer(agentId, waiters, records, began)
  }

  #requeue(served: Map<AgentId, Set<Waiter>>): void {
    for (const [agentId, waiters] of served) {
      for (const waiter of waiters) if (!waiter.signal.aborted) this.#add(agentId, waiter)
    }
  }

  async #readOne(agentId: AgentId, waiters: Set<Waiter>): Promise<void> {
    const controller = new AbortController()
    const abortIfAllGone = (): void => {
      if ([...waiters].every((waiter) => waiter.signal.aborted)) controller.abort()
    }
    for (const { signal } of waiters) signal.addEventListener('abort', abortIfAllGone, { once: true })
    try {
      const readAt = this.#clock()
      const record = await this.#source.getAgent(agentId, { signal: controller.signal })
      for (const waiter of waiters) waiter.resolve({ record, readAt })
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error)
    } finally {
      for (const { signal } of waiters) signal.removeEventListener('abort', abortIfAllGone)
      this.#singles.leave()
      this.#next()
    }
  }
}

// A malformed record hurts its own agent only.
function answer(agentId: AgentId, waiters: ReadonlySet<Waiter>, records: AgentRecords, readAt: number): void {
  try {
    const record = records.get(agentId)
    if (record === undefined) throw notEnrolled(agentId, records.size)
    for (const waiter of waiters) waiter.resolve({ record, readAt })
  } catch (error) {
    for (const waiter of waiters) waiter.reject(error)
  }
}

function notEnrolled(agentId: AgentId, enrolled: number): KeylimeError {
  return new KeylimeError(
    'KEYLIME_AGENT_UNKNOWN',
    `keylime verifier does not know agent ${agentId}: it is not among the ${String(enrolled)} enrolled`,
    { facts: { agent_id: agentId, service: 'verifier' } },
  )
}
