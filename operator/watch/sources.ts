/**
 * The state of the daemon's sources: when each answered last, and what it said when it did not.
 *
 * @module
 */
import type { SourceName } from './metrics.ts'

/** How a source is. */
export interface SourceState {
  isUp: boolean
  /** By the steady clock, milliseconds. */
  answeredAt: number | undefined
  failure: string | undefined
}

/** All of them. */
export class SourceBook {
  readonly #states = new Map<SourceName, SourceState>()
  readonly #clock: () => number
  readonly #changed: (source: SourceName, state: SourceState) => void

  /**
   * @param sources Their names.
   * @param changed Told when one comes or goes.
   * @param clock Milliseconds, only forward.
   */
  constructor(
    sources: readonly SourceName[],
    changed: (source: SourceName, state: SourceState) => void,
    clock: () => number = () => performance.now(),
  ) {
    this.#changed = changed
    this.#clock = clock
    for (const name of sources) this.#states.set(name, { isUp: false, answeredAt: undefined, failure: undefined })
  }

  /**
   * Takes how a question went.
   *
   * @param source Which source.
   * @param failure Why there was no answer; undefined when there was one.
   * @returns True when it answers again after it had not.
   */
  heard(source: SourceName, failure?: string): boolean {
    const state = this.#states.get(source)
    if (state === undefined) return false
    const wasUp = state.isUp
    const wasFirst = state.answeredAt === undefined && state.failure === undefined
    state.isUp = failure === undefined
    if (state.isUp) state.answeredAt = this.#clock()
    const isNews = wasUp !== state.isUp || (failure !== undefined && wasFirst)
    state.failure = failure
    if (isNews) this.#changed(source, state)
    return state.isUp && !wasUp && !wasFirst
  }

  // Whether each of these answered last time.
  areUp(...sources: readonly SourceName[]): boolean {
    return sources.every((source) => this.#states.get(source)?.isUp === true)
  }

  /** Every source with its age in seconds. */
  get all(): readonly {
    readonly name: SourceName
    readonly isUp: boolean
    readonly age: number | undefined
    readonly failure: string | undefined
  }[] {
    return [...this.#states].map(([name, { isUp, answeredAt, failure }]) => ({
      name,
      isUp,
      age: answeredAt === undefined ? undefined : (this.#clock() - answeredAt) / 1000,
      failure,
    }))
  }
}
