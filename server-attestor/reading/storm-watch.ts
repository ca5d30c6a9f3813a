/**
 * The moment from which many single reads of a verifier are worth one bulk read of all its agents.
 *
 * @module
 */

/** What a bulk read costs the verifier for each enrolled agent, what a single read and an opinion cost; measured on 7.14.3. */
const BULK_MS_PER_AGENT = 0.4
const SINGLE_MS = 2.6
const OPINION_MS = 2.9
/** Fewer waiting reads than this are never worth a bulk read. */
const LEAST_STORM = 32
/** A bulk read of more agents would block the verifier for over 4 s and outlast the default `request_timeout`. */
const MOST_ENROLLED = 10_000

const STEP_MS = 20
/** Covers the longest bulk read. */
const MAX_STEPS = 200
/** The span of "at present": longer than a bulk read's answer keeps this process from hearing who asks. */
const PRESENT_MS = 500

/** Count of those who ask for a record, over time. */
export class StormWatch {
  readonly #steps: { readonly step: number; count: number }[] = []

  /**
   * Counts one who asks.
   *
   * @param now Milliseconds.
   */
  asked(now: number): void {
    const step = Math.floor(now / STEP_MS)
    const last = this.#steps.at(-1)
    if (last?.step === step) last.count += 1
    else this.#steps.push({ step, count: 1 })
    if (this.#steps.length > MAX_STEPS) this.#steps.shift()
  }

  /**
   * Tells whether a bulk read pays: more reads wait than single reads would serve in its time, about a sixth of the
   * agents enrolled, or soon will at the rate at which they come.
   *
   * @param waiting Reads that have not begun.
   * @param enrolled Agents the verifier knows; undefined: not counted yet.
   * @param now Milliseconds.
   * @returns True also when it would pay for a small verifier and the agents have to be counted first.
   */
  isWorthSharing(waiting: number, enrolled: number | undefined, now: number): boolean {
    if (waiting < LEAST_STORM) return false
    if (enrolled === undefined) return true
    if (enrolled > MOST_ENROLLED) return false
    const bulkMs = enrolled * BULK_MS_PER_AGENT
    const worth = bulkMs / SINGLE_MS
    return waiting > worth || (waiting > worth / 4 && this.#within(bulkMs, now) > worth)
  }

  /**
   * Tells whether more ask at present than single reads could serve.
   *
   * @param now Milliseconds.
   * @returns True while a bulk read that begins now would miss many.
   */
  isGrowing(now: number): boolean {
    return this.#within(PRESENT_MS, now) > PRESENT_MS / SINGLE_MS
  }

  /**
   * Tells whether opinions will keep the verifier busy for longer than half of what a bulk read takes.
   *
   * @param opinions How many wait.
   * @param enrolled Agents the verifier knows.
   * @returns True while those who wait for an opinion lose nothing by a bulk read that is put off.
   */
  isOutlastedBy(opinions: number, enrolled: number): boolean {
    return opinions * OPINION_MS > (enrolled * BULK_MS_PER_AGENT) / 2
  }

  /**
   * Bounds how long a bulk read may be put off for those still to come.
   *
   * @param enrolled Agents the verifier knows.
   * @returns Milliseconds: one and a half times what the read itself takes. Nodes never seen come one by one, each after
   *   the registrar's record of it; with this bound a whole fleet of them takes two bulk reads.
   */
  longestGatheringMs(enrolled: number): number {
    return enrolled * BULK_MS_PER_AGENT * 1.5
  }

  #within(ms: number, now: number): number {
    const since = (now - ms) / STEP_MS
    return this.#steps.reduce((sum, { step, count }) => (step >= since ? sum + count : sum), 0)
  }
}
