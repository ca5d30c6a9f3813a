/**
 * Two lanes to one registrar: nodes that were admitted before do not stand behind callers that nobody knows.
 *
 * @module
 */
import { abortReason, DEFAULT_MAX_WAITING, Limiter, queueFull } from '@tower-of-omens/keylime'

/** Who asks. */
export interface Asker {
  /** Whether the node has proved itself, or one of this ID was admitted before. */
  readonly isKnown: boolean
  /** Where the call came from; undefined where SPIRE does not say (before 1.15.2). */
  readonly caller: string | undefined
}

/** How many reads of known nodes are under way at a time. */
const KNOWN_PLACES = 8
/** The same of strangers: a caller without any TPM costs a read. */
const STRANGER_PLACES = 4
/** How many strangers may wait who call from one address. */
const MAX_PER_CALLER = 1_000

interface Turn {
  begin(): void
  sendAway(error: unknown): void
}

/** The lanes of one registrar. */
export class Lanes {
  readonly #known = new Limiter(KNOWN_PLACES)
  readonly #strangers = new CallerQueue(STRANGER_PLACES)

  /**
   * Runs a read when its turn has come.
   *
   * @param asker Decides the lane.
   * @param signal Takes a waiting read out of its lane.
   * @param read What to run.
   * @returns What the read returns.
   * @throws {KeylimeError} Of reason `queue-full`: too many wait. Also the signal's reason, and whatever the read throws.
   */
  run<T>(asker: Asker, signal: AbortSignal, read: () => Promise<T>): Promise<T> {
    return asker.isKnown ? this.#known.run(signal, read) : this.#strangers.run(asker.caller, signal, read)
  }

  /**
   * Sends away everybody who waits.
   *
   * @param error What each of them fails with.
   */
  release(error: unknown): void {
    this.#known.release(error)
    this.#strangers.release(error)
  }
}

/** A fixed number of places that callers take in turn, so that none of them can crowd out the others. */
export class CallerQueue {
  readonly #places: number
  readonly #maxPerCaller: number
  /** Callers in the order of their turns, each with those who wait in the order of asking. */
  readonly #callers = new Map<string, Set<Turn>>()
  #active = 0
  #waiting = 0

  /**
   * @param places How many at a time.
   * @param maxPerCaller How many of one caller may wait; of those whose address is not known, 20,000 may.
   */
  constructor(places: number, maxPerCaller: number = MAX_PER_CALLER) {
    this.#places = places
    this.#maxPerCaller = maxPerCaller
  }

  /**
   * Runs a task when its caller's turn has come.
   *
   * @param caller Its address; undefined: not known.
   * @param signal Takes a waiting task out of the queue; a running one has to look at it itself.
   * @param task What to run.
   * @returns What the task returns.
   * @throws {KeylimeError} Of reason `queue-full`: too many wait. Also the signal's reason, and whatever the task throws.
   */
  async run<T>(caller: string | undefined, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    await this.#turnOf(caller, signal)
    try {
      return await task()
    } finally {
      this.#active -= 1
      this.#next()
    }
  }

  /**
   * Sends away everybody who waits.
   *
   * @param error What each of them fails with.
   */
  release(error: unknown): void {
    const turns = [...this.#callers.values()].flatMap((waiting) => [...waiting])
    this.#callers.clear()
    this.#waiting = 0
    for (const turn of turns) turn.sendAway(error)
  }

  #turnOf(caller: string | undefined, signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) throw abortReason(signal)
    if (this.#active < this.#places) {
      this.#active += 1
      return undefined
    }
    const key = caller ?? ''
    const limit = caller === undefined ? DEFAULT_MAX_WAITING : this.#maxPerCaller
    if ((this.#callers.get(key)?.size ?? 0) >= limit) throw queueFull(limit)
    if (this.#waiting >= DEFAULT_MAX_WAITING) throw queueFull(DEFAULT_MAX_WAITING)
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        signal.removeEventListener('abort', abort)
        end()
      }
      const turn: Turn = { begin: () => settle(resolve), sendAway: (error) => settle(() => reject(error)) }
      const abort = (): void => {
        this.#leave(key, turn)
        reject(abortReason(signal))
      }
      this.#join(key, turn)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  #join(key: string, turn: Turn): void {
    const waiting = this.#callers.get(key)
    if (waiting === undefined) this.#callers.set(key, new Set([turn]))
    else waiting.add(turn)
    this.#waiting += 1
  }

  #leave(key: string, turn: Turn): void {
    const waiting = this.#callers.get(key)
    if (waiting?.delete(turn) !== true) return
    this.#waiting -= 1
    if (waiting.size === 0) this.#callers.delete(key)
  }

  #next(): void {
    const [first] = this.#callers
    if (first === undefined || this.#active >= this.#places) return
    const [key, waiting] = first
    const [turn] = waiting
    // To the end of the row, with those of it who still wait.
    this.#callers.delete(key)
    if (turn === undefined) return
    waiting.delete(turn)
    if (waiting.size > 0) this.#callers.set(key, waiting)
    this.#waiting -= 1
    this.#active += 1
    turn.begin()
  }
}
