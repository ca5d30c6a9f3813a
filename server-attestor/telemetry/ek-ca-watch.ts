/**
 * The log lines by which a TPM maker's CA certificate comes to its end: 90 days before, and when it has.
 *
 * @module
 */

import type { Log } from '@tower-of-omens/keylime'
import { type AnchorDates, anchorDates, type EkAnchors } from '@tower-of-omens/keylime/evidence'

/** The makers' certificates last for years, and a day is early enough. */
const LOOK_EVERY_MS = 21_600_000

/** Watch of the dates of the certificates of `ek_ca_path`. */
export class EkCaWatch {
  readonly #anchors: EkAnchors
  readonly #log: Pick<Log, 'warn'>
  readonly #timer: NodeJS.Timeout
  /** Fingerprint to the stage spoken of. */
  readonly #said = new Map<string, AnchorDates['stage']>()

  /**
   * @param anchors The certificates in force.
   * @param log Told.
   * @param now Milliseconds since the epoch. Of what is true already nothing is said: Configure has warned of it.
   */
  constructor(anchors: EkAnchors, log: Pick<Log, 'warn'>, now: number = Date.now()) {
    this.#anchors = anchors
    this.#log = log
    for (const { fingerprint256, stage } of anchorDates(anchors, now)) this.#said.set(fingerprint256, stage)
    this.#timer = setInterval(() => this.look(Date.now()), LOOK_EVERY_MS).unref()
  }

  /**
   * Looks once.
   *
   * @param now Milliseconds since the epoch.
   */
  look(now: number): void {
    for (const { fingerprint256, subject, stage, words } of anchorDates(this.#anchors, now)) {
      if (this.#said.get(fingerprint256) === stage) continue
      this.#said.set(fingerprint256, stage)
      this.#log.warn(HEADLINES[stage], { certificate: subject, dates: words, key: 'ek_ca_path' })
    }
  }

  // Stops.
  close(): void {
    clearInterval(this.#timer)
  }
}

const HEADLINES: Readonly<Record<AnchorDates['stage'], string>> = {
  soon: "A TPM maker's CA certificate expires soon",
  over: "A TPM maker's CA certificate has expired",
  'not-yet': "A TPM maker's CA certificate is not valid yet",
}
