/**
 * What changes around a plugin while it attests: its configuration, its certificate, the verifier.
 *
 * @module
 */
import { configure, type PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import type { FakeKeylimeProcess } from '../fakes/fake-keylime-process.ts'
import { TRUST_DOMAIN } from './contestants.ts'

/** Seconds from one change of a kind to the next. */
export interface Periods {
  readonly reconfiguration: number
  readonly renewal: number
  readonly restart: number
}

/** How often each has happened. */
export interface ChangeCounts {
  readonly reconfigurations: number
  readonly renewals: number
  readonly restarts: number
}

/** What a day brings, put into an hour. */
export const HOURLY: Periods = { reconfiguration: 60, renewal: 150, restart: 300 }

/** How long the verifier is away. */
const AWAY_MS = 3_000
/** Who was refused for it may hear so a little later. */
const AFTERWARDS_MS = 7_000

interface Change {
  readonly period: number
  /** Second of the run. */
  next: number
  readonly run: () => Promise<void>
}

function due(period: number, run: () => Promise<void>): Change {
  return { period, next: period, run }
}

/** The changes, each at its time, one after the other. */
export class Changes {
  readonly #due: readonly Change[]
  readonly #counts = { reconfigurations: 0, renewals: 0, restarts: 0 }
  #running: Promise<void> = Promise.resolve()
  #awayAt = Number.NEGATIVE_INFINITY
  #failure: unknown

  /**
   * @param plugin Configured.
   * @param keylime Its Keylime.
   * @param periods How often.
   */
  constructor(plugin: PluginProcess, keylime: FakeKeylimeProcess, periods: Periods) {
    this.#due = [
      due(periods.reconfiguration, async () => {
        await configure(plugin, { trustDomain: TRUST_DOMAIN, hcl: keylime.ready.serverHcl })
        this.#counts.reconfigurations += 1
      }),
      due(periods.renewal, async () => {
        await keylime.renewCertificate()
        this.#counts.renewals += 1
      }),
      due(periods.restart, async () => {
        this.#awayAt = performance.now()
        await keylime.restartVerifiers(AWAY_MS)
        this.#counts.restarts += 1
      }),
    ]
  }

  /** Counts what has happened. */
  get counts(): ChangeCounts {
    return { ...this.#counts }
  }

  /**
   * Begins what is due.
   *
   * @param second Of the run.
   * @throws {Error} A change has failed.
   */
  look(second: number): void {
    if (this.#failure !== undefined) throw this.#failure
    for (const one of this.#due) {
      if (second < one.next) continue
      one.next += one.period
      this.#running = this.#running.then(one.run).catch((error: unknown) => {
        this.#failure ??= error
      })
    }
  }

  /** Tells whether the verifier was away a moment ago. @returns True from the beginning of a restart on. */
  wasVerifierAway(): boolean {
    return performance.now() - this.#awayAt < AWAY_MS + AFTERWARDS_MS
  }

  /** Waits for what has begun. @throws {Error} A change has failed. */
  async done(): Promise<void> {
    await this.#running
    if (this.#failure !== undefined) throw this.#failure
  }
}
