/**
 * A map that forgets what was used longest ago, so that no number of nodes fills the memory.
 *
 * @module
 */

/** A map of at most a fixed number of entries; reading an entry keeps it. */
export class BoundedMap<K, V> {
  readonly #entries = new Map<K, V>()
  readonly #limit: number

  /** @param limit Entries kept, at least 1. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Counts the entries. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Reads an entry and marks it as used.
   *
   * @param key Its key.
   * @returns Its value, or undefined.
   */
  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /**
   * Writes an entry; the one used longest ago leaves when there are too many.
   *
   * @param key Its key.
   * @param value Its value, not undefined.
   */
  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#limit) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  /**
   * Removes an entry.
   *
   * @param key Its key.
   */
  delete(key: K): void {
    this.#entries.delete(key)
  }
}
