/**
 * The configuration in force, and those that running calls still use.
 *
 * @module
 */
import { RpcError } from '../wire/rpc-error.ts'

/** One call's hold on the configuration it began with. */
export interface ConfigLease<C> {
  readonly config: C
  /** Ends the hold. The first call counts, further ones do nothing. */
  release(): void
}

interface Held<C> {
  readonly config: C
  calls: number
  retired: boolean
  readonly disposed: PromiseWithResolvers<void>
}

/**
 * Place of one configuration, which is swapped whole.
 *
 * A call keeps the configuration it began with; a replaced one is disposed of when its last call has ended.
 */
export class ConfigSlot<C> {
  readonly #dispose: (config: C) => Promise<void>
  #current: Held<C> | undefined
  #closed = false

  /**
   * @param dispose Releases what a configuration holds. Called once for each; must not throw.
   */
  constructor(dispose: (config: C) => Promise<void>) {
    this.#dispose = dispose
  }

  /**
   * Takes hold of the configuration in force.
   *
   * @returns A lease that must be released.
   * @throws {RpcError} `FAILED_PRECONDITION`: nothing is configured yet. `UNAVAILABLE`: the plugin is leaving.
   */
  acquire(): ConfigLease<C> {
    if (this.#closed) throw new RpcError('UNAVAILABLE', 'plugin is shutting down')
    const held = this.#current
    if (held === undefined) throw new RpcError('FAILED_PRECONDITION', 'not configured')
    held.calls += 1
    let released = false
    return {
      config: held.config,
      release: () => {
        if (released) return
        released = true
        held.calls -= 1
        this.#disposeIfUnused(held)
      },
    }
  }

  /**
   * Puts a configuration in force for every call that begins from now on.
   *
   * @param config Configuration, built whole.
   */
  replace(config: C): void {
    const old = this.#current
    const held: Held<C> = { config, calls: 0, retired: false, disposed: Promise.withResolvers() }
    this.#current = held
    if (old !== undefined) this.#retire(old)
    if (this.#closed) this.#retire(held)
  }

  /**
   * Refuses further calls.
   *
   * @returns Resolves when the last call has ended and its configuration is disposed of.
   */
  async close(): Promise<void> {
    this.#closed = true
    const held = this.#current
    if (held === undefined) return
    this.#retire(held)
    await held.disposed.promise
  }

  #retire(held: Held<C>): void {
    if (held.retired) return
    held.retired = true
    this.#disposeIfUnused(held)
  }

  #disposeIfUnused(held: Held<C>): void {
    if (!held.retired || held.calls > 0) return
    void this.#dispose(held.config).finally(() => held.disposed.resolve())
  }
}
