/**
 * The brake: when many hosts go absent at once it is Keylime that failed, and no host is evicted for it.
 *
 * @module
 */

/** When the brake goes on. */
export interface BrakeRules {
  /** More than this share of hosts, percent. */
  readonly percent: number
  /** But not for fewer hosts than this. */
  readonly hosts: number
}

/** In this time many hosts must go absent. */
export const BRAKE_WINDOW_MS = 60_000

/** Brake on deeds when many hosts go absent. */
export class Brake {
  #rules: BrakeRules
  /** Agent ID to when it went absent, for those that still are. */
  readonly #absentSince = new Map<string, number>()
  #isOn = false
  #clockStands = false

  /** @param rules When it goes on. */
  constructor(rules: BrakeRules) {
    this.#rules = rules
  }

  /**
   * Takes new rules; they count from the next round.
   *
   * @param rules When it goes on.
   */
  setRules(rules: BrakeRules): void {
    this.#rules = rules
  }

  /** Whether evictions for absence wait. */
  get isOn(): boolean {
    return this.#isOn || this.#clockStands
  }

  /** How many hosts are absent. */
  get absent(): number {
    return this.#absentSince.size
  }

  /**
   * Takes what one round saw, before anything is done about it.
   *
   * @param absent Agents that are absent now.
   * @param hosts How many hosts there are.
   * @param now Milliseconds, by any clock that only goes forward.
   */
  update(absent: ReadonlySet<string>, hosts: number, now: number): void {
    for (const agentId of this.#absentSince.keys()) if (!absent.has(agentId)) this.#absentSince.delete(agentId)
    for (const agentId of absent) if (!this.#absentSince.has(agentId)) this.#absentSince.set(agentId, now)
    const recent = [...this.#absentSince.values()].filter((since) => now - since <= BRAKE_WINDOW_MS).length
    const many = (count: number): boolean => count >= this.#rules.hosts && count * 100 > this.#rules.percent * hosts
    // Once on, it stays on until the hosts are seen again, however long ago they went.
    this.#isOn = many(this.#isOn ? this.#absentSince.size : recent)
  }

  /**
   * Takes whether the verifier's own clock moves: one that stands makes every host look older than it is, or younger.
   *
   * @param stands True when two answers some time apart bear the same date.
   */
  clockStands(stands: boolean): void {
    this.#clockStands = stands
  }
}
